// Figures: drawn as they come into view, linked by the ids of their points, zoomed as the reader left them.

const options = {
  responsive: true,
  displaylogo: false,
  displayModeBar: true,
  showSendToCloud: false,  // plotly's default offers to upload each figure to its makers
  toImageButtonOptions: { format: "svg" },
};
const plots = new Map();  // name of a figure → {place, figure, text, revision, zoom, isDrawn, isStale, isSeen, isUnlinked, isLog}
const touches = window.matchMedia("(pointer: coarse)").matches;  // there a drag scrolls the page
const FADED = 0.12;

const isParallel = (trace) => trace.type === "parcoords";
const MOST_BESIDE = 8, AXIS = 88, PARALLEL_MARGIN = 160;  // parallel axes that always fit, and pixels of others
const isPoints = (trace) => Boolean(trace.ids) && !isParallel(trace) && (trace.mode ?? "markers").includes("markers");
const isJoined = (trace) => Boolean(trace.ids) && trace.mode === "lines";  // curves of many trials in one trace
const isCurve = (trace) => Boolean(trace.meta?.trial) || isJoined(trace);
const hasCurves = (plot) => plot.figure.layout.meta?.curves >= LEAST_SMOOTHED;  // lines that may be smoothed
const isLinked = (trace) => Boolean(trace.ids) || Boolean(trace.meta?.trial);

const observer = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) {
    const plot = plots.get(target.dataset.plot);
    if (!plot) continue;
    plot.isSeen = isIntersecting;
    if (isIntersecting && (!plot.isDrawn || plot.isStale)) draw(plot);
  }
}, { rootMargin: "200px" });

/** What plotly draws for a figure, in the colours of the page. */
function shown(plot) {
  const kept = active();
  const isFaded = (trace) => kept && trace.ids && isParallel(trace) && page.from !== plot.name;
  const traces = plot.figure.data.map((trace) => (isFaded(trace) ? { ...trace, line: fadedLines(trace, kept) } : trace));
  const isLog = isLogarithmic(plot);
  if (plot.isLog !== isLog) {  // a range of values is none of logarithms
    Object.assign(plot, { isLog, revision: plot.revision + 1 });
    delete plot.zoom.yaxis;
  }
  const drawn = hasCurves(plot) ? smoothedCurves(traces) : traces;
  const mayBrush = plot.figure.data.some(isPoints) && !plot.figure.data.some(isJoined);
  const layout = {
    ...themed(plot.figure.layout),
    uirevision: `${plot.name} ${plot.revision}`,
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    modebar: { bgcolor: "rgba(0,0,0,0)", color: tone("soft"), activecolor: tone("accent") },
    dragmode: touches ? false : mayBrush ? "select" : "zoom",
  };
  for (const [axis, given] of Object.entries(layout).filter(([key]) => /^[xy]axis\d*$/.test(key))) {
    const range = plot.zoom[axis];
    if (axis === "yaxis" && isLog) layout[axis] = logarithmic(given, range);
    else if (range) layout[axis] = { ...given, range, autorange: false };
    else if (!given.range) layout[axis] = { autorange: true, ...given };  // plotly: -1 to 4, if it had one before
  }
  return [themed(drawn), layout];
}

/** The curves as the reader wants them: smoothed, and those that have a trace each also as they were measured. */
function smoothedCurves(traces) {
  if (curveLook.epochs <= 1) return traces;
  const measured = traces.filter(({ meta }) => meta?.trial).map((trace) => ({ ...trace, mode: "lines", opacity: 0.3, showlegend: false, hoverinfo: "skip", hovertemplate: null }));
  const smooth = (trace) => ({ ...trace, y: smoothed(trace.y, trace.ids), customdata: trace.y, hovertemplate: trace.hovertemplate.replace("%{y", "%{customdata") });
  return [...traces.map((trace) => (isCurve(trace) ? smooth(trace) : trace)), ...measured];
}

const isPositive = ({ y }) => !y || y.every((value) => value === null || value > 0);
const mayBeLogarithmic = (plot) => plot.figure.data.every(isPositive);
const isLogarithmic = (plot) => hasCurves(plot) && curveLook.isLog && mayBeLogarithmic(plot);

/** An axis with the logarithms of its values: so are the ranges that plotly takes and tells. */
function logarithmic({ range, tickformatstops, ...given }, zoomed) {
  const whole = range?.[0] > 0 ? { range: range.map(Math.log10), autorange: false } : { autorange: true };
  return { ...given, type: "log", exponentformat: "e", ...(zoomed ? { range: zoomed, autorange: false } : whole) };
}

/**
 * Fades the trials that are not active, in what plotly has drawn. Plotly's own way, `selectedpoints`,
 * computes the whole figure anew: seconds for thousands of points, where this takes milliseconds.
 * It relies on the classes of plotly's SVG, and on the values that D3 binds to its nodes.
 */
function fade(plot, isAnew = false) {
  const kept = active();
  plot.isUnlinked = false;
  for (const node of plot.place.querySelectorAll(".scatterlayer .trace")) {
    const full = node.__data__?.[0]?.trace, trace = full && plot.place.data[full.index];
    if (!trace || !isLinked(trace)) continue;
    const id = trace.meta?.trial;
    if (id) node.style.opacity = kept && !kept.has(id) ? FADED : full.opacity ?? 1;
    else if (isJoined(trace)) fadeCurves(node, trace, kept, plot.place);
    else fadePoints(node, trace, kept, isAnew);
  }
}

function fadePoints(node, { ids }, kept, isAnew) {
  for (const point of node.querySelectorAll(".points > path, .text > .textpoint")) {
    const at = point.__data__?.i;
    if (at === undefined) continue;
    const isFaded = Boolean(kept) && !kept.has(ids[at]);
    if (point.isFaded === isFaded && !isAnew) continue;
    point.isFaded = isFaded;  // `opacity` would cost a layer for each point
    point.style.fillOpacity = isFaded ? FADED : "";
    point.style.strokeOpacity = isFaded ? FADED : "";
  }
}

/** Curves that share a trace have paths without names, so the kept ones are drawn once more above them. */
function fadeCurves(node, { ids, x, y }, kept, place) {
  node.querySelector(".kept")?.remove();
  const lines = node.querySelectorAll(".js-line"), line = lines[lines.length - 1];
  for (const one of lines) one.style.opacity = kept ? FADED : 1;
  if (!kept || !line) return;
  const { xaxis, yaxis } = place._fullLayout;
  let path = "", isDown = false;
  for (let n = 0; n < ids.length; n += 1) {
    if (y[n] === null || y[n] === undefined || !kept.has(ids[n])) { isDown = false; continue; }
    path += `${isDown ? "L" : "M"}${xaxis.d2p(x[n]).toFixed(1)},${yaxis.d2p(y[n]).toFixed(1)}`;
    isDown = true;
  }
  const copy = line.cloneNode();
  copy.setAttribute("class", "kept");
  copy.setAttribute("d", path || "M0,0");
  Object.assign(copy.style, { opacity: 1, strokeWidth: `${Math.max(1.6, parseFloat(line.style.strokeWidth))}px` });
  line.after(copy);
}

/** Parallel lines cannot be faded one by one: the others get a pale colour below the scale's own. */
function fadedLines({ ids, line }, kept) {
  const span = line.cmax - line.cmin || 1, below = 0.02 * span;
  const scale = line.colorscale.map(([at, color]) => [(at * span + below) / (span + below), color]);
  const pale = "#eceff1", edge = scale[0][0];
  return {
    ...line,
    cmin: line.cmin - below,
    color: line.color.map((value, n) => (kept.has(ids[n]) ? value : line.cmin - below)),
    colorscale: [[0, pale], [edge * 0.99, pale], ...scale],
  };
}

function draw(plot) {
  const [data, layout] = shown(plot);
  const isNew = !plot.isDrawn;
  plot.isDrawn = true;
  plot.isStale = false;
  Plotly.react(plot.place, data, layout, options);
  for (const axis of axesOf(plot)) if (!(axis._name in plot.zoom)) [axis._rangeInitial0, axis._rangeInitial1] = axis.range;
  fade(plot, true);
  if (isNew) listen(plot);
}

const axesOf = ({ place }) => Object.values(place._fullLayout).filter((one) => one?._rangeInitial0 !== undefined);

/**
 * Notes which axes the reader has zoomed: plotly forgets that where newer data change the range of a
 * figure. A double click goes back to the range that the figure has now, see `draw`.
 */
function noteZoom(plot) {
  plot.zoom = {};
  for (const { _name, range, autorange, _rangeInitial0, _rangeInitial1 } of axesOf(plot)) {
    const isWhole = autorange || (range[0] === _rangeInitial0 && range[1] === _rangeInitial1);
    if (!isWhole) plot.zoom[_name] = [...range];
  }
}

/** Brushes of a figure become the selection of the page; a click on a point opens its trial. */
function listen(plot) {
  const { place, name } = plot;
  const idOf = (point) => point.data.ids?.[point.pointNumber ?? point.pointIndex] ?? point.data.meta?.trial;
  place.on("plotly_afterplot", () => fade(plot, true));
  place.on("plotly_relayout", () => noteZoom(plot));
  place.on("plotly_selected", (event) => {
    if (!event) return;
    const found = (event.points ?? []).map(idOf).filter(Boolean);
    select(new Set(found), name);
  });
  place.on("plotly_deselect", () => select(null, ""));
  place.on("plotly_click", ({ points }) => {
    const id = points.map(idOf).find(Boolean);
    if (id && id in page.data.trials) location.hash = `trial/${id}`;
  });
  place.on("plotly_restyle", () => {
    const trace = place.data.find(isParallel);
    if (trace) select(within(trace), name);
  });
}

/** The trials whose lines pass all brushed stretches of parallel axes; null where nothing is brushed. */
function within({ ids, dimensions }) {
  const brushed = dimensions.filter(({ constraintrange }) => constraintrange?.length);
  if (!brushed.length) return null;
  const passes = ({ constraintrange, values }, n) => {
    const ranges = Array.isArray(constraintrange[0]) ? constraintrange : [constraintrange];
    return ranges.some(([low, high]) => low <= values[n] && values[n] <= high);
  };
  return new Set(ids.filter((_, n) => brushed.every((one) => passes(one, n))));
}

/** Fades what the reader sees now, and soon after that the rest. */
function relink() {
  for (const plot of plots.values()) {
    if (!plot.isDrawn || !plot.figure.data.some(isLinked)) continue;
    forgetBrush(plot);
    if (!plot.figure.data.some(isParallel)) plot.isUnlinked = true;
    else if (page.from !== plot.name || !page.selection) plot.isStale = true;
  }
  for (const plot of plots.values()) if (plot.isUnlinked && plot.isSeen) fade(plot);
  clearTimeout(relink.later);
  relink.later = setTimeout(() => {  // once the brush rests: what is out of view, and parallel lines
    for (const plot of plots.values()) {
      if (plot.isStale && plot.isSeen) draw(plot); else if (plot.isUnlinked) fade(plot);
    }
  }, 150);
}

/** Takes the outline of a brush away from a figure once the selection is another's. */
function forgetBrush(plot) {
  const isOwn = page.from === plot.name;
  if (!isOwn && plot.hadBrush) {
    plot.revision += 1;  // plotly then forgets stretches of parallel axes, which it notes in the data
    for (const { dimensions = [] } of plot.figure.data) for (const one of dimensions) delete one.constraintrange;
    if (plot.place.layout.selections?.length) Plotly.relayout(plot.place, { selections: [] });
    if (plot.place.data.some(({ selectedpoints }) => selectedpoints)) Plotly.restyle(plot.place, { selectedpoints: [null] });
  }
  plot.hadBrush = isOwn;
}

/** Whether a figure has parallel axes or many panels, which take room also on a phone. */
const hasPanels = ({ figure: { data, layout } }) => data.some(isParallel) || Object.keys(layout).some((key) => /^xaxis([3-9]|\d\d)$/.test(key));

/** The least width of a figure: of many parallel axes, so that their names lie beside each other. */
function leastWidth({ figure: { data } }) {
  const axes = data.find(isParallel)?.dimensions.length ?? 0;
  return axes > MOST_BESIDE ? `${PARALLEL_MARGIN + AXIS * (axes - 1)}px` : "";
}

/** Whether a figure needs the whole width: so does the first of the page. */
const isWide = (figure, place) => place === 0 || hasPanels(figure);

/** The names of the figures that get the whole width; one that would stand alone in a row does too. */
function broadOnes(figures) {
  const broad = new Set(figures.filter(isWide).map(({ name }) => name));
  let alone = null;
  for (const { name } of [...figures, { name: null }]) {
    if (name !== null && !broad.has(name)) alone = alone === null ? name : null;
    else if (alone !== null) { broad.add(alone); alone = null; }
  }
  return broad;
}

/** The sections of the figures, in order; those without a picture are a sentence each below them. */
function drawFigures(figures) {
  const home = document.getElementById("figures");
  if (!home) return;
  const drawn = figures.filter(({ figure }) => figure);
  const names = new Set(drawn.map(({ name }) => name));
  for (const [name, plot] of plots) {
    if (names.has(name)) continue;
    observer.unobserve(plot.place);
    Plotly.purge(plot.place);
    plot.place.closest("section").remove();
    plots.delete(name);
  }
  const broad = broadOnes(drawn);
  drawn.forEach((one, place) => {
    const plot = plots.get(one.name) ?? newPlot(one, home);
    const section = plot.place.closest("section");
    if (home.children[place] !== section) home.insertBefore(section, home.children[place] ?? null);
    section.classList.toggle("broad", broad.has(one.name));
    section.classList.toggle("many", hasPanels(one));
    showFigure(plot, one);
  });
  undrawn(figures.filter(({ figure }) => !figure), home);
}

/** The words of a figure, and what it draws where that has changed. */
function showFigure(plot, one) {
  const section = plot.place.closest("section"), text = JSON.stringify(one.figure);
  section.querySelector("h2").textContent = one.title;
  refill(section.querySelector(".finding"), ...prose(one.finding));
  refill(section.querySelector(".reading"), ...prose(one.reading));
  plot.place.style.height = `${one.height}px`;
  plot.place.style.minWidth = leastWidth(one);
  if (text === plot.text) return;
  Object.assign(plot, { figure: one.figure, text });
  redraw(plot);
  if (hasCurves(plot)) drawCurveChoices(plot);
}

/** Draws a figure anew, soon if nobody sees it now. */
function redraw(plot) {
  if (plot.isDrawn && plot.isSeen) draw(plot); else plot.isStale = plot.isDrawn;
}

/** How the curves of a figure are drawn, for the reader to choose: above it, as in the views of trials. */
function drawCurveChoices(plot) {
  const section = plot.place.closest("section"), home = section.querySelector(".choices") ?? curveChoices();
  if (!home.parentElement) section.querySelector(".wide").before(home);
  showCurveLook(home).querySelector("[name=log]").disabled = !mayBeLogarithmic(plot);
}

/** Draws the figures with curves anew, as the reader has just chosen. */
function drawCurves() {
  for (const plot of plots.values()) {
    if (!hasCurves(plot)) continue;
    drawCurveChoices(plot);
    redraw(plot);
  }
}

function newPlot({ name }, home) {
  const place = element("div", { class: "figure", id: `figure-${name}`, "data-plot": name, role: "img", "aria-labelledby": `title-${name}`, "aria-describedby": `finding-${name}` });
  const hint = element("p", { class: "reading" });
  home.append(element("section", { id: name, "data-figure": name },
    element("h2", { id: `title-${name}` }), element("p", { class: "finding", id: `finding-${name}` }),
    element("div", { class: "wide" }, place), hint));
  const plot = { name, place, figure: null, text: "", revision: 0, zoom: {}, isDrawn: false, isStale: false, isSeen: false, isUnlinked: false, isLog: false };
  plots.set(name, plot);
  observer.observe(place);
  return plot;
}

function undrawn(figures, home) {
  home.querySelector("#undrawn")?.remove();
  if (!figures.length || !page.ids.length) return;  // before the first end, each would say just that
  const items = figures.map(({ title, finding }) => element("li", {}, element("b", {}, title.endsWith("?") ? title : `${title}.`), " ", ...prose(finding)));
  home.append(element("section", { id: "undrawn", class: "broad" }, element("h2", {}, "Nothing to draw"), element("ul", { class: "verdicts" }, ...items)));
}

/** Draws every figure, also those out of view. */
function drawAll() {
  for (const plot of plots.values()) if (!plot.isDrawn || plot.isStale) draw(plot);
}

/** Makes all figures as wide as paper, or as the window again: no figure is wider than its sheet. */
function printed(isPaper) {
  document.body.classList.toggle("printed", isPaper);
  if (isPaper) drawAll();
  for (const plot of plots.values()) if (plot.isDrawn) Plotly.relayout(plot.place, { autosize: true });
}

onChange(() => requestAnimationFrame(relink));
onColours(() => plots.forEach(redraw));
window.addEventListener("beforeprint", () => printed(true));
window.addEventListener("afterprint", () => printed(false));
