// Figures in the dark: the colours that they were made with, their lightness turned round.

const dark = window.matchMedia("(prefers-color-scheme: dark)");
const printing = window.matchMedia("print");
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

const isDark = () => dark.matches && !printing.matches;

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
