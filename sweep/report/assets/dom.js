"use strict";
// Small helpers that every other script of the page uses.

/** The JSON that the page carries under this name. */
const part = (name) => JSON.parse(document.querySelector(`[data-part="${name}"]`).textContent);

/** An element with attributes (functions become listeners) and children; null children are left out. */
function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") made.addEventListener(name, value);
    else if (value === true) made.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) made.setAttribute(name, value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

/** Replaces what an element holds, if it is not that already; the focus stays at its place. */
function refill(home, ...children) {
  const fresh = home.cloneNode(false);
  fresh.append(...children);
  if (home.isEqualNode(fresh)) return;
  const at = [...home.children].indexOf(document.activeElement);
  home.replaceChildren(...fresh.childNodes);
  home.children[at]?.focus();
}

/** Ends the figures in an element: each listens to the window until then. */
function purge(home) {
  for (const place of home.querySelectorAll(".js-plotly-plot")) Plotly.purge(place);
}

/** The object with a property that is computed when it is first read. */
function lazily(object, name, compute) {
  Object.defineProperty(object, name, {
    configurable: true,
    enumerable: true,
    get() {
      const value = compute();
      Object.defineProperty(object, name, { value, configurable: true, enumerable: true });
      return value;
    },
  });
  return object;
}

/** A sentence with its `code` as elements, in which no line begins with a percent sign. */
const prose = (text) => text.split("`").flatMap((one, n) => (n % 2 ? [element("code", {}, one)] : unbroken(one))).filter((one) => one !== "");
const unbroken = (text) => text.replace(/(?<=\d) (?=%)/g, "\u00a0").split(/(\d[\d.]*e-\d+)/).map((one, n) => (n % 2 ? element("span", { class: "whole" }, one) : one));

const counted = (count, noun) => `${count} ${noun}${count === 1 ? "" : "s"}`;
const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;

/** Sample standard deviation; NaN below two values. */
function deviation(values) {
  const middle = mean(values);
  return Math.sqrt(values.reduce((sum, value) => sum + (value - middle) ** 2, 0) / (values.length - 1));
}

/** A value of the objective, or a difference of two, in its own digits. */
function score(value) {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  return page.data.objective.d3 === ".4f" ? value.toFixed(4).replace("-", "−") : short(value);
}

/** A number as a reader expects it: four digits, an exponent only where there is no other way. */
function short(value) {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  const size = Math.abs(value);
  if (size === 0) return "0";
  if (size < 1e-3 || size >= 1e6) return value.toExponential(2).replace("e+", "e").replace("-", "−");
  return String(Number(value.toPrecision(4))).replace("-", "−");
}
