"use strict";
// The page: its text, its tables and its figures, drawn from one value that `update` replaces.
const part = (name) => JSON.parse(document.querySelector(`[data-part="${name}"]`).textContent);
const element = (tag, attributes = {}, ...children) => {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
};
const options = { responsive: true, displaylogo: false, displayModeBar: true };

function drawSections(data) {
  for (const { name, html } of data.sections) {
    const body = document.querySelector(`#${CSS.escape(name)} > .body`);
    if (body && name !== "ranking" && body.innerHTML !== html) body.innerHTML = html;
  }
}

function drawTables(data) {
  const body = document.querySelector("#ranking > .body");
  body.replaceChildren();
  for (const table of data.tables) {
    if (table.title) body.append(element("h3", {}, table.title));
    body.append(element("p", { class: "reading" }, table.order));
    const heads = table.columns.map(({ title }) => element("th", { scope: "col" }, title));
    const rows = table.trials.map((_, row) => element("tr", {}, ...table.columns.map(
      ({ kind, texts }) => element("td", kind === "number" ? { class: "n" } : {}, texts[row]))));
    const grid = element("table", { id: table.name }, element("thead", {}, element("tr", {}, ...heads)), element("tbody", {}, ...rows));
    body.append(element("div", { class: "wide" }, grid));
  }
  if (!data.tables.length) body.append(element("p", { class: "reading" }, "No trial has ended yet."));
}

async function drawFigures(figures) {
  for (const { name, finding, reading, height, figure } of figures) {
    const section = document.querySelector(`[data-figure="${name}"]`);
    section.querySelector(".finding").textContent = finding;
    let place = section.querySelector(".figure");
    if (!figure) { place?.parentElement.remove(); section.querySelector(".reading")?.remove(); continue; }
    if (!place) {
      place = element("div", { class: "figure", id: `figure-${name}`, style: `height: ${height}px` });
      section.append(element("div", { class: "wide" }, place), element("p", { class: "reading" }));
    }
    section.querySelector(".reading").textContent = reading;
    await Plotly.react(place, figure.data, { ...figure.layout, uirevision: name }, options);
  }
  document.body.dataset.drawn = "true";
}

function update(data) {
  document.getElementById("state").textContent = data.state;
  document.getElementById("written").textContent = data.written;
  drawSections(data);
  drawTables(data);
  return drawFigures(data.figures);
}

window.sweepPage = { update };
update({ ...part("page"), figures: part("figures"), trials: part("trials") });
