// One more figure: any two columns against each other and a third as the colour, as the reader
// chooses. Columns are those of the ranking, the number and the start of a trial, and what else was
// measured in its best epoch.

const axes = { x: "", y: "", colour: "", isMap: true };  // names of columns that the reader has chosen
const MOST_POINTS = 1000, MOST_OVER_MAP = 300;  // more of them slow a browser down and show nothing more, or hide the map
const GREY = "#4b5563", FAINT = "#c4cad0", INK = "#1f2933";  // of what is no trial, of values without a colour of their own, of outlines
let mapped = null;  // what the filter kept when the map was drawn
const ROLES = [["y", "Up"], ["x", "Across"], ["colour", "Colour"]];
const COMPARABLE = "comparable";  // name of the column that figures compare trials by, where that is none of the ranking
const GROUPS = ["Settings", "Results", "Recorded values"];

/** The columns that an axis can have: name → {title, kind, scale, group, of}. */
function axisColumns(data) {
  const found = new Map(), ranked = new Set(data.tables.flatMap(({ columns }) => columns.map(({ name }) => name)));
  for (const name of ranked) {
    const column = page.columns.get(name);
    if (name !== "trial_id") found.set(name, { ...column, group: GROUPS[column.scale ? 0 : 1] });
  }
  if (!found.size) return found;
  const add = (name, title, kind, group, of) => found.set(name, lazily({ name, title, kind, scale: null, group }, "of", of));
  const start = (id) => data.trials[id].runs?.[0]?.started;
  if (page.ids.some(start)) add("started", "start (UTC)", "date", GROUPS[1], () => new Map(page.ids.filter(start).map((id) => [id, start(id)])));
  add("number", "trial number", "number", GROUPS[1], () => new Map(page.ids.map((id) => [id, data.trials[id].number])));
  const { title, about, values, expected } = data.first_axes, guessed = new Set(expected);
  if (Object.keys(values).length) {
    add(COMPARABLE, title, "number", GROUPS[1], () => new Map(Object.entries(values)));
    Object.assign(found.get(COMPARABLE), { about, told: (id) => `${score(values[id])}${guessed.has(id) ? " expected, not measured" : ""}` });
  }
  for (const curve of new Set(page.ids.flatMap((id) => Object.keys(data.trials[id].curves)))) {
    if (curve === "value" || ranked.has(curve.replace("metrics/", ""))) continue;
    const best = (id) => data.trials[id].curves[curve]?.[data.trials[id].best_epoch] ?? null;
    add(curve, `${curveTitle(curve)} (best epoch)`, "number", GROUPS[2], () => new Map(page.ids.map((id) => [id, best(id)])));
  }
  return found;
}

/** The columns that are drawn: as chosen, else a map of the two settings that matter most, else the objective over one. */
function drawnAxes(data) {
  const columns = axisColumns(data), parameters = [...columns.values()].filter(({ scale }) => scale);
  const first = [...data.first_axes.names, columns.has(COMPARABLE) ? COMPARABLE : data.objective.metric].map((name) => columns.get(name));
  const isFresh = !axes.x && !axes.y && !axes.colour && first.length === 3 && first.every(Boolean);
  if (isFresh && idsWithAll(first).length >= LEAST_MAPPED) return { columns, x: first[0], y: first[1], third: first[2], isFirst: true };
  const parameter = (parameters.find(({ of }) => new Set(of.values()).size > 1) ?? parameters[0])?.name;
  const there = (...names) => columns.get(names.find((name) => columns.has(name)) ?? "epochs");
  const third = columns.get(axes.colour);
  return { columns, x: there(axes.x, parameter), y: there(axes.y, data.objective.metric), third: third?.kind === "date" || axes.colour === "status" ? null : third };
}

/** The trials with a value in each of these columns. */
const idsWithAll = (columns) => page.ids.filter((id) => columns.every((one) => !one || (one.of.get(id) ?? null) !== null));

const isWords = ({ kind, scale }) => kind === "text" || Array.isArray(scale);  // its values are named, not measured

const listedWords = ({ scale }) => (Array.isArray(scale) ? scale.map(([, text]) => text) : []);  // of the space

/** The text of a value of a column that has words. */
function wordsOf({ name, scale }) {
  const texts = new Map(Array.isArray(scale) ? scale : []);
  return (value) => (name === "status" ? page.data.statuses[value][0] : texts.get(value) ?? String(value));
}

/** What plotly draws for a value. */
const markOf = (column) => (isWords(column) ? ((text) => (id) => text(column.of.get(id)))(wordsOf(column)) : (id) => column.of.get(id));

/** The figure; null where there are no two columns with values. */
function chosenAxes(data) {
  const { x, y, third, isFirst } = drawnAxes(data);
  if (!x || !y) return null;
  const every = idsWithAll([x, y, third]);
  if (!every.length) return null;
  mapped = page.kept;
  const map = mayBeMap(x, y, third) && axes.isMap ? mapOf(x, y, third, every.filter((id) => !page.kept || page.kept.has(id))) : null;
  const step = Math.max(1, every.length / (map?.trace ? MOST_OVER_MAP : MOST_POINTS)), there = every.filter((_, n) => Math.floor(n / step) > Math.floor((n - 1) / step));
  const colours = third && (isWords(third) ? colourWords(third, there) : map?.trace ? map.colours : colourRanks(third, there, data.scale));
  const traces = [...(map?.trace ? [map.trace] : []), ...pointsOf(data, there, { x, y, third, colours })];
  if (["number", "started"].includes(x.name) && y.name === data.objective.metric) traces.push(bestSoFar(data, every, x.of, y.of));
  const axis = (column) => ({ title: { text: column.title }, automargin: true, ...scaleOf(column, there) });
  const left = page.ids.length - every.length;
  const thinned = there.length < every.length ? `${there.length} of ${every.length} trials are drawn, evenly over the ranking. ` : "";
  return {
    name: "axes", title: "Your own figure", height: 460,
    finding: `${map ? `${map.finding} ` : ""}${thinned}${left ? `${counted(left, "trial")} without one of these values ${left > 1 ? "are" : "is"} left out.` : ""}`.trim(),
    reading: `${isFirst ? `It begins with the first two settings, ${data.first_axes.order}. ` : ""}Choose the columns. A setting has the scale of its search space; another column is logarithmic where its values are positive and differ a hundredfold. ${map?.reading ?? colours?.reading ?? (Object.keys(data.parameters).length > 1 ? "With two settings as axes and a measured value as the colour, a map shows which region does well." : "")}`.trim(),
    figure: { data: traces, layout: { height: 460, hovermode: "closest", margin: { l: 64, r: 24, t: 48, b: 56 }, xaxis: axis(x), yaxis: axis(y), ...(colours?.coloraxis ? { coloraxis: colours.coloraxis } : {}),
      font: { size: 13, color: INK, family: "system-ui, -apple-system, sans-serif" }, legend: { orientation: "h", y: 1.02, yanchor: "bottom", x: 0 }, showlegend: true } },
  };
}

/** The trials as points: a symbol for each status, in its colour or in those of a third column. */
function pointsOf(data, there, { x, y, third, colours }) {
  const status = page.columns.get("status").of, [across, up, shown] = [x, y, third].map((one) => one && (one.told ?? markOf(one)));
  const traces = Object.entries(data.statuses).flatMap(([name, [words, color, symbol]]) => {
    const ids = there.filter((id) => status.get(id) === name), isOpen = symbol.endsWith("open"), width = isOpen ? 2 : 1;
    if (!ids.length) return [];
    const known = { type: "scatter", mode: "markers", name: words, marker: { color, symbol, size: 8, line: { width, color } } };
    const points = {
      ...known, ids, x: ids.map(across), y: ids.map(up), text: ids,
      hovertemplate: `%{text}<br>${x.title} %{x}<br>${y.title} %{y}${third ? `<br>${third.title} %{customdata}` : ""}<extra></extra>`,
    };
    if (!third) return [points];
    const line = isOpen ? { width } : { width, color: colours.isMap ? INK : color };
    const marker = { ...points.marker, line, color: ids.map((id) => colours.of(third.of.get(id))), ...colours.marker };
    return [{ ...points, marker, customdata: ids.map(shown), showlegend: false }, key({ ...known, marker: { ...known.marker, color: GREY, line: { width, color: GREY } } })];
  });
  return [...traces, ...(colours?.words ?? []).map(([name, color]) => key({ type: "scatter", mode: "markers", name, marker: { color, symbol: "square", size: 10 } }))];
}

const key = (trace) => ({ ...trace, x: [null], y: [null], legendgroup: trace.name });  // stands in the legend alone

/** The best value of the objective after each trial, in the order of their numbers or starts. */
function bestSoFar(data, ids, order, values) {
  const better = data.objective.mode === "max" ? Math.max : Math.min;
  const ended = ids.filter((id) => data.trials[id].has_result).sort((a, b) => (order.get(a) < order.get(b) ? -1 : 1));
  let best = null;
  const y = ended.map((id) => (best = best === null ? values.get(id) : better(best, values.get(id))));
  return {
    type: "scatter", mode: "lines", name: "best so far", x: ended.map((id) => order.get(id)), y,
    line: { shape: "hv", color: GREY, width: 1.5 }, hovertemplate: "best so far %{y}<extra></extra>",
  };
}

/** Colours of a column of words: the commonest have one each, the others are grey. */
function colourWords(column, ids) {
  const text = wordsOf(column), counts = new Map();
  for (const id of ids) counts.set(text(column.of.get(id)), (counts.get(text(column.of.get(id))) ?? 0) + 1);
  const common = [...counts].sort((a, b) => b[1] - a[1]).slice(0, LOOKS.length).map(([name]) => name);
  const words = [...new Set([...listedWords(column).filter((name) => common.includes(name)), ...common])].map((name, n) => [name, LOOKS[n][0]]), colours = new Map(words);
  const rest = counts.size > words.length ? [["others", FAINT]] : [];
  return { of: (value) => colours.get(text(value)) ?? FAINT, words: [...words, ...rest], reading: `The colour shows ${column.title}, the symbol the status.` };
}

/** Colours by the rank of a value among all, from 0 to 1; equal ones share the middle of theirs. */
function colourRanks({ title, of }, ids, colorscale) {
  const sorted = ids.map((id) => of.get(id)).sort((a, b) => a - b), last = Math.max(1, sorted.length - 1), first = new Map(), final = new Map();
  sorted.forEach((value, n) => { if (!first.has(value)) first.set(value, n); final.set(value, n); });
  const rank = (value) => (first.get(value) + final.get(value)) / 2 / last;
  const ticks = [...new Set([0, 0.25, 0.5, 0.75, 1].map((at) => sorted[Math.round(at * (sorted.length - 1))]))];
  const bar = { title: { text: title, side: "right" }, thickness: 12, tickvals: ticks.map(rank), ticktext: ticks.map((value) => String(Number(value.toPrecision(3)))) };
  return { of: rank, marker: { coloraxis: "coloraxis" }, coloraxis: { colorscale, cmin: 0, cmax: 1, colorbar: bar }, reading: `The colour shows the rank of a trial's ${title} among those drawn; its scale names the values.` };
}

function scaleOf(column, ids) {
  const line = { showline: true, ticks: "outside", zeroline: false, showgrid: false }, { kind, scale, of } = column;
  if (kind === "date") return { ...line, type: "date" };
  if (Array.isArray(scale)) return { ...line, type: "category", categoryorder: "array", categoryarray: listedWords(column) };
  if (kind !== "number") return { ...line, type: "category" };
  const values = ids.map((id) => of.get(id)), low = Math.min(...values), high = Math.max(...values);
  if (!isLog(column, low, high)) return { ...line, type: "linear" };
  const dtick = Math.max(1, Math.ceil(Math.log10(high / low) / 5));  // powers alone: a phone has no room for 2 and 5 between them
  return { ...line, type: "log", exponentformat: "e", dtick: high / low < 10 ? undefined : dtick };
}

/** Whether an axis with these ends is logarithmic. */
const isLog = ({ scale }, low, high) => low > 0 && (scale ? scale === "log" : high / low >= 100);

/** The choice of columns, above the figure. */
function drawAxisChoices(data) {
  const section = document.getElementById("axes");
  if (!section) return;
  const home = section.querySelector(".controls") ?? element("div", { class: "controls" });
  if (!home.parentElement) section.querySelector(".finding").before(home);
  const { columns, ...drawn } = drawnAxes(data);
  for (const [role, words] of ROLES) {
    let select = home.querySelector(`[name="${role}"]`);  // the same one, or it would lose the focus
    if (!select) {
      select = element("select", { name: role, "aria-label": role === "colour" ? "Colour by" : `Column ${words.toLowerCase()}`, change: () => chooseAxis(role, select.value) });
      home.append(element("label", { class: "field" }, element("span", {}, words), select));
    }
    const fit = [...columns.values()].filter(({ name, kind }) => role !== "colour" || (kind !== "date" && name !== "status"));
    const groups = GROUPS.map((label) => [label, fit.filter(({ group }) => group === label)]).filter(([, some]) => some.length);
    const none = role === "colour" ? [element("option", { value: "status" }, "status")] : [];
    refill(select, ...none, ...groups.map(([label, some]) => element("optgroup", { label }, ...some.map(({ name, title }) => element("option", { value: name }, title)))));
    select.value = (role === "colour" ? drawn.third : drawn[role])?.name ?? "status";
  }
  let map = home.querySelector("[name=map]");
  if (!map) {
    map = element("input", { type: "checkbox", name: "map", change: () => { axes.isMap = map.checked; drawAxes(); changed(); } });
    home.append(element("label", { class: "field tick" }, map, " Map"));
  }
  if (!home.querySelector("[data-copy]")) {
    const copy = element("button", { type: "button", "data-copy": true, click: () => { copy.dataset.text = figureInPython(); } }, "Copy as Python");
    home.append(copy);
  }
  map.checked = axes.isMap;
  map.parentElement.hidden = !mayBeMap(drawn.x, drawn.y, drawn.third);
}

/** Another column in one role; the others stay as they are shown, chosen or not. */
function chooseAxis(role, name) {
  const { x, y, third } = drawnAxes(page.data);
  Object.assign(axes, { x: x.name, y: y.name, colour: third?.name ?? "status", [role]: name });
  drawAxes();
  changed();
}

/** Draws this figure and its controls anew. */
function drawAxes() {
  const shown = chosenAxes(page.data), plot = plots.get("axes");
  if (!shown || !plot) return drawFigures(figuresOf(page.data));
  showFigure(plot, shown);
  return drawAxisChoices(page.data);
}

onChange(() => {  // a map is one of the trials that the filter keeps
  if (mapped === page.kept || !axes.isMap) return;
  const { x, y, third } = drawnAxes(page.data);
  mapped = page.kept;
  clearTimeout(drawAxes.later);
  if (mayBeMap(x, y, third)) drawAxes.later = setTimeout(drawAxes, 150);
});

/** The figures of the data, and this one after those of the sweep. */
function figuresOf(data) {
  const chosen = chosenAxes(data);
  return chosen ? [...data.figures, chosen] : data.figures;
}
