// Light or dark, as the system or the reader says. Figures in the dark have the colours that they
// were made with, their lightness turned round.

const dark = window.matchMedia("(prefers-color-scheme: dark)");
const printing = window.matchMedia("print");
const SCHEMES = { "": "as the system", light: "light", dark: "dark" };
const SCHEME = "sweep report: colours";  // where the browser keeps the choice
const ofTheDark = [...document.styleSheets[0].cssRules].find((rule) => rule.media?.mediaText === dark.media);
const recolour = [];  // what is drawn again in other colours
let scheme = "";

/** Takes the reader's colours, also on the next page; a frame without an origin keeps nothing. */
function choose(chosen) {
  scheme = chosen;
  ofTheDark.media.mediaText = { light: "not all", dark: "screen" }[scheme] ?? dark.media;
  document.documentElement.style.setProperty("--scheme", scheme || "light dark");
  try { localStorage.setItem(SCHEME, scheme); } catch { /* not kept */ }
  recolour.forEach((redraw) => redraw());
}
const onColours = (redraw) => recolour.push(redraw);
for (const media of [dark, printing]) media.addEventListener("change", () => recolour.forEach((redraw) => redraw()));
{
  let kept = null;
  try { kept = localStorage.getItem(SCHEME); } catch { /* nothing is kept */ }
  const options = Object.entries(SCHEMES).map(([value, words]) => element("option", { value }, words));
  const select = element("select", { change: () => choose(select.value) }, ...options);
  document.querySelector("header .kind").before(element("label", { class: "colours" }, "Colours ", select));
  if (kept in SCHEMES) choose(select.value = kept);
}

const COLOR = /^(#[0-9a-f]{6}|rgba?\([^)]*\))$/i;

/** A colour with its hue and the opposite lightness: white becomes the dark paper, black white. */
function turned(color) {
  const [r, g, b, alpha = 1] = color.startsWith("#")
    ? [1, 3, 5].map((at) => parseInt(color.slice(at, at + 2), 16))
    : color.match(/[\d.]+/g).map(Number);
  const high = Math.max(r, g, b) / 255, low = Math.min(r, g, b) / 255;
  const lightness = (high + low) / 2, spread = high - low;
  const saturation = spread ? spread / (1 - Math.abs(2 * lightness - 1)) : 0;
  let hue = 0;
  if (spread) {
    const [x, y, z] = [r / 255, g / 255, b / 255];
    hue = high === x ? ((y - z) / spread) % 6 : high === y ? (z - x) / spread + 2 : (x - y) / spread + 4;
  }
  const other = 0.09 + 0.87 * (1 - lightness) ** 0.75;  // pale marks stay as visible as they were
  return `hsla(${Math.round(60 * hue)}, ${Math.round(100 * Math.min(saturation, 0.75))}%, ${Math.round(100 * other)}%, ${alpha})`;
}

const isDark = () => (scheme ? scheme === "dark" : dark.matches) && !printing.matches;

/** A figure's JSON in the colours of the page. */
function themed(value) {
  if (!isDark()) return value;
  if (typeof value === "string") return COLOR.test(value) ? turned(value) : value;
  if (Array.isArray(value)) {
    const isNumbers = typeof value.find((one) => one !== null) === "number" && typeof value[1] !== "string";
    return isNumbers ? value : value.map(themed);  // [0.5, "#9cc0dd"] is a step of a colour scale
  }
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([key, one]) => {
    if (key === "ids" || key === "text") return [key, one];
    return [key, key === "shadow" ? one.replace(/#[0-9a-f]{6}/gi, turned) : themed(one)];
  }));
}

/** A colour of the page by the name of its variable. */
const tone = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
