// One more figure: any two columns of the ranking against each other, and a third as the colour, as
// the reader chooses.

const axes = { x: "", y: "", colour: "" };  // names of columns that the reader has chosen
const MOST_POINTS = 1000;  // more of them slow a browser down and show nothing more
const GREY = "#4b5563";  // of lines and symbols that are no trial

/** The columns that an axis can have, name → {title, kind, of}; the trial's number and its start are two more. */
function axisColumns(data) {
  const names = data.tables.flatMap(({ columns }) => columns.map(({ name }) => name));
  const found = new Map([...new Set(names)].filter((name) => name !== "trial_id").map((name) => [name, page.columns.get(name)]));
  const of = new Map(page.ids.map((id) => [id, data.trials[id].number]));
  if (!found.size) return found;
  const starts = page.ids.map((id) => [id, data.trials[id].runs?.[0]?.started]).filter(([, started]) => started);
  if (starts.length) found.set("started", { name: "started", title: "start (UTC)", kind: "date", of: new Map(starts) });
  return found.set("number", { name: "number", title: "trial number", kind: "number", of });
}

/** The names of the columns that are drawn: as chosen, else the objective over the first parameter that varies. */
function drawnAxes(data, columns) {
  const parameters = [...columns.values()].filter(({ is_parameter }) => is_parameter);
  const parameter = (parameters.find(({ of }) => new Set(of.values()).size > 1) ?? parameters[0])?.name;
  const there = (...names) => names.find((name) => columns.has(name)) ?? "epochs";
  const colour = columns.get(axes.colour)?.kind === "number" ? axes.colour : "";
  return { x: there(axes.x, parameter), y: there(axes.y, data.objective.metric), colour };
}

/** The figure; null where there are no two columns with values. */
function chosenAxes(data) {
  const columns = axisColumns(data), names = drawnAxes(data, columns);
  const [x, y, third] = [names.x, names.y, names.colour].map((name) => columns.get(name));
  if (!x || !y) return null;
  const every = page.ids.filter((id) => [x, y, third].every((one) => !one || (one.of.get(id) ?? null) !== null));
  const step = Math.max(1, every.length / MOST_POINTS), there = every.filter((_, n) => Math.floor(n / step) > Math.floor((n - 1) / step));
  const status = page.columns.get("status").of, ranks = third && ranksOf(there.map((id) => third.of.get(id)));
  const cellOf = ({ name, of }) => (id) => (name === "status" ? data.statuses[of.get(id)][0] : of.get(id));
  const traces = Object.entries(data.statuses).flatMap(([name, [words, color, symbol]]) => {
    const ids = there.filter((id) => status.get(id) === name), width = symbol.endsWith("open") ? 2 : 1;
    if (!ids.length) return [];
    const known = { type: "scatter", mode: "markers", name: words, marker: { color, symbol, size: 8, line: { width, color } } };
    const points = {
      ...known, ids, x: ids.map(cellOf(x)), y: ids.map(cellOf(y)), text: ids,
      hovertemplate: `%{text}<br>${x.title} %{x}<br>${y.title} %{y}${third ? `<br>${third.title} %{customdata}` : ""}<extra></extra>`,
    };
    if (!third) return [points];
    const marker = { ...points.marker, color: ids.map((id) => ranks.get(third.of.get(id))), coloraxis: "coloraxis" };
    return [  // the legend names the symbol alone
      { ...points, marker, customdata: ids.map((id) => third.of.get(id)), showlegend: false },
      { ...known, marker: { ...known.marker, color: GREY, line: { width, color: GREY } }, x: [null], y: [null] },
    ];
  });
  if (!traces.length) return null;
  if (["number", "started"].includes(names.x) && names.y === data.objective.metric) traces.push(bestSoFar(data, every, x.of, y.of));
  const axis = (column) => ({ title: { text: column.title }, automargin: true, ...scaleOf(column, there) });
  const left = page.ids.length - every.length;
  const thinned = there.length < every.length ? `${there.length} of ${every.length} trials are drawn, evenly over the ranking. ` : "";
  return {
    name: "axes", title: "Any two columns", height: 440,
    finding: `${thinned}${left ? `${counted(left, "trial")} without one of these values ${left > 1 ? "are" : "is"} left out.` : ""}`,
    reading: `Choose the columns. A scale is logarithmic where all its values are positive and differ a hundredfold.${third ? ` The colour shows the rank of a trial's ${third.title} among those drawn; its scale names the values.` : ""}`,
    figure: { data: traces, layout: { height: 440, hovermode: "closest", margin: { l: 64, r: 24, t: 36, b: 56 }, xaxis: axis(x), yaxis: axis(y), ...(third ? { coloraxis: scaleOfRanks(third.title, ranks, data.scale) } : {}),
      font: { size: 13, color: "#1f2933", family: "system-ui, -apple-system, sans-serif" }, legend: { orientation: "h", y: 1.02, yanchor: "bottom", x: 0 }, showlegend: true } },
  };
}

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

/** Each value → its place among all, from 0 to 1; equal ones share the middle of theirs. */
function ranksOf(values) {
  const sorted = [...values].sort((a, b) => a - b), last = Math.max(1, sorted.length - 1);
  return new Map([...new Set(sorted)].map((value) => [value, (sorted.indexOf(value) + sorted.lastIndexOf(value)) / 2 / last]));
}

/** A colour axis over places, which says the values that stand at its quarters. */
function scaleOfRanks(title, ranks, colorscale) {
  const known = [...ranks], quarters = [0, 0.25, 0.5, 0.75, 1];
  const nearest = quarters.map((at) => known.reduce((one, other) => (Math.abs(other[1] - at) < Math.abs(one[1] - at) ? other : one)));
  const ticks = [...new Map(nearest)];
  return { colorscale, cmin: 0, cmax: 1, colorbar: { title: { text: title, side: "right" }, thickness: 12, tickvals: ticks.map(([, at]) => at), ticktext: ticks.map(([value]) => String(Number(value.toPrecision(3)))) } };
}

function scaleOf({ kind, of }, ids) {
  const line = { showline: true, ticks: "outside", zeroline: false, showgrid: false };
  if (kind === "date") return { ...line, type: "date" };
  if (kind !== "number") return { ...line, type: "category" };
  const values = ids.map((id) => of.get(id)), low = Math.min(...values), high = Math.max(...values);
  if (!(low > 0 && high / low >= 100)) return { ...line, type: "linear" };
  const dtick = Math.ceil(Math.log10(high / low) / 5);  // powers alone: a phone has no room for 2 and 5 between them
  return { ...line, type: "log", exponentformat: "e", dtick };
}

/** The choice of columns, above the figure. */
function drawAxisChoices(data) {
  const section = document.getElementById("axes");
  if (!section) return;
  const home = section.querySelector(".controls") ?? element("div", { class: "controls" });
  if (!home.parentElement) section.querySelector(".finding").after(home);
  const columns = axisColumns(data), names = drawnAxes(data, columns);
  for (const [key, words] of [["y", "Up"], ["x", "Across"], ["colour", "Colour"]]) {
    let select = home.querySelector(`[name="${key}"]`);  // the same one, or it would lose the focus
    if (!select) {
      select = element("select", { name: key, "aria-label": key === "colour" ? "Colour by" : `Column ${words.toLowerCase()}`, change: () => { axes[key] = select.value; drawFigures(figuresOf(page.data)); changed(); } });
      home.append(element("label", { class: "field" }, element("span", {}, words), select));
    }
    const fit = [...columns.values()].filter(({ kind }) => key !== "colour" || kind === "number");
    const none = key === "colour" ? [element("option", { value: "" }, "status")] : [];
    refill(select, ...none, ...fit.map(({ name, title }) => element("option", { value: name }, title)));
    select.value = names[key];
  }
}

/** The figures of the data, and this one after those of the sweep. */
function figuresOf(data) {
  const chosen = chosenAxes(data);
  return chosen ? [...data.figures, chosen] : data.figures;
}
