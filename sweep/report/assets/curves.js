// How curves are drawn: smoothed in the reader's way, on the reader's scale, in the colours of some trials.

const curveLook = { epochs: 1, way: "exponential", isLog: false };  // as the reader wants them; over one epoch: as measured
const LEAST_SMOOTHED = 10;  // epochs
const STEPS_OF_SMOOTHING = [1, 3, 5, 7, 9, 11, 15, 21, 31, 51, 101, 201];  // epochs
const mayChoose = (pairs) => pairs.some(([, { epochs }]) => epochs >= LEAST_SMOOTHED);

/** What an epoch counts for one that is `lag` epochs later. All ways count as many epochs in all, and those at both ends have fewer. */
const WAYS = {
  exponential: (epochs) => (lag) => (lag < 0 ? 0 : (1 - 1 / epochs) ** lag),
  Gaussian: (epochs) => (lag) => Math.exp(-Math.PI * (lag / epochs) ** 2),
  "running mean": (epochs) => (lag) => Number(Math.abs(lag) < epochs / 2),
};
const WORDS_OF_WAYS = { exponential: "earlier ones, the later the more", Gaussian: "on both sides, the nearer the more", "running mean": "on both sides alike" };
const LEAST_COUNTED = 1e-6;

/**
 * Means over the epochs around each, in the reader's way. No value, no point; it counts for no other,
 * and epochs between two values lie between them all the same. Where `ids` name the trial of each
 * value, every trial begins anew.
 */
function smoothed(values, ids = []) {
  const { way, epochs } = curveLook, weight = WAYS[way](epochs), past = [1], coming = [];
  while (weight(past.length) > LEAST_COUNTED) past.push(weight(past.length));
  while (weight(-coming.length - 1) > LEAST_COUNTED) coming.push(weight(-coming.length - 1));
  let first = 0;
  return values.map((value, n) => {
    if (ids[n] !== ids[n - 1]) first = n;
    if (value === null) return null;
    let sum = value, total = 1;
    const add = (at, counted) => { if (values[at] !== null) { sum += counted * values[at]; total += counted; } };
    for (let lag = 1; lag < past.length && n - lag >= first; lag += 1) add(n - lag, past[lag]);
    for (let lag = 1; lag <= coming.length && n + lag < values.length && ids[n + lag] === ids[n]; lag += 1) add(n + lag, coming[lag - 1]);
    return sum / total;
  });
}

/** Draws the curves of the page and of the open view as the reader has just chosen by this control. */
function redrawCurves({ target: { name, value, checked } }) {
  const chosen = { smoothing: () => ({ epochs: STEPS_OF_SMOOTHING[value] }), way: () => ({ way: value }), log: () => ({ isLog: checked }) };
  Object.assign(curveLook, chosen[name]());
  drawCurves();
  changed();
  if (!dialog?.open) return;
  redrawView();
  dialog.querySelector(`[name="${name}"]`)?.focus({ preventScroll: true });
}

/** The choice of how curves are drawn. */
function curveChoices() {
  const smoothing = element("input", { type: "range", name: "smoothing", min: 0, max: STEPS_OF_SMOOTHING.length - 1, input: () => tellSmoothing(home, STEPS_OF_SMOOTHING[smoothing.value]), change: redrawCurves });
  const way = element("select", { name: "way", "aria-label": "Way of smoothing", change: redrawCurves }, ...Object.keys(WAYS).map((name) => element("option", {}, name)));
  const log = element("input", { type: "checkbox", name: "log", change: redrawCurves });
  const home = element("div", { class: "choices" }, element("label", {}, "Smoothing ", smoothing), way, element("output"), element("label", {}, log, " Logarithmic, where all values are positive"));
  return showCurveLook(home);
}

function tellSmoothing(home, epochs) {
  const { way } = curveLook, over = epochs > 1 ? `over ${epochs} epochs` : "none";
  home.querySelector("[name=smoothing]").setAttribute("aria-valuetext", over);
  home.querySelector("output").textContent = epochs > 1 ? `${over}: ${WORDS_OF_WAYS[way]}; marks, and what hovering tells, are as measured` : over;
}

function showCurveLook(home) {
  const { epochs, way, isLog } = curveLook;
  const place = STEPS_OF_SMOOTHING.findLastIndex((step) => step <= epochs);  // an address may name others
  home.querySelector("[name=smoothing]").value = place;
  home.querySelector("[name=way]").value = way;
  tellSmoothing(home, epochs);
  home.querySelector("[name=log]").checked = isLog;
  return home;
}
