// One more figure: any two columns of the ranking against each other, as the reader chooses.

const axes = { x: "", y: "" };  // names of columns that the reader has chosen
const MOST_POINTS = 1000;  // more of them slow a browser down and show nothing more

/** The columns that an axis can have, name → {title, kind, of}. */
function axisColumns(data) {
  const names = data.tables.flatMap(({ columns }) => columns.map(({ name }) => name));
  return new Map([...new Set(names)].filter((name) => name !== "trial_id").map((name) => [name, page.columns.get(name)]));
}

/** The names of the columns that are drawn: as chosen, else the objective over the first parameter that varies. */
function drawnAxes(data, columns) {
  const parameters = [...columns.values()].filter(({ is_parameter }) => is_parameter);
  const parameter = (parameters.find(({ of }) => new Set(of.values()).size > 1) ?? parameters[0])?.name;
  const there = (...names) => names.find((name) => columns.has(name)) ?? "epochs";
  return { x: there(axes.x, parameter), y: there(axes.y, data.objective.metric) };
}

/** The figure; null where there are no two columns with values. */
function chosenAxes(data) {
  const columns = axisColumns(data), names = drawnAxes(data, columns);
  const [x, y] = [columns.get(names.x), columns.get(names.y)];
  if (!x || !y) return null;
  const every = page.ids.filter((id) => (x.of.get(id) ?? null) !== null && (y.of.get(id) ?? null) !== null);
  const step = Math.max(1, every.length / MOST_POINTS), there = every.filter((_, n) => Math.floor(n / step) > Math.floor((n - 1) / step));
  const status = page.columns.get("status").of;
  const traces = Object.entries(data.statuses).map(([name, [words, color, symbol]]) => {
    const ids = there.filter((id) => status.get(id) === name);
    return {
      type: "scatter", mode: "markers", name: words, ids, x: ids.map((id) => x.of.get(id)), y: ids.map((id) => y.of.get(id)),
      marker: { color, symbol, size: 8, line: { width: symbol.endsWith("open") ? 2 : 1, color } }, text: ids,
      hovertemplate: `%{text}<br>${x.title} %{x}<br>${y.title} %{y}<extra></extra>`,
    };
  }).filter(({ ids }) => ids.length);
  if (!traces.length) return null;
  const axis = (column) => ({ title: { text: column.title }, automargin: true, ...scaleOf(column, there) });
  const left = page.ids.length - every.length;
  const thinned = there.length < every.length ? `${there.length} of ${every.length} trials are drawn, evenly over the ranking. ` : "";
  return {
    name: "axes", title: "Any two columns", height: 440,
    finding: `${thinned}${left ? `${counted(left, "trial")} without a value of both ${left > 1 ? "are" : "is"} left out.` : ""}`,
    reading: "Choose the columns. A scale is logarithmic where its positive values differ a hundredfold.",
    figure: { data: traces, layout: { height: 440, hovermode: "closest", margin: { l: 64, r: 24, t: 36, b: 56 }, xaxis: axis(x), yaxis: axis(y),
      font: { size: 13, color: "#1f2933", family: "system-ui, -apple-system, sans-serif" }, legend: { orientation: "h", y: 1.02, yanchor: "bottom", x: 0 }, showlegend: true } },
  };
}

function scaleOf({ kind, of }, ids) {
  const line = { showline: true, ticks: "outside", zeroline: false, showgrid: false };
  if (kind !== "number") return { ...line, type: "category" };
  const values = ids.map((id) => of.get(id)), low = Math.min(...values), high = Math.max(...values);
  return low > 0 && high / low >= 100 ? { ...line, type: "log", exponentformat: "e" } : { ...line, type: "linear" };
}

/** The choice of columns, above the figure. */
function drawAxisChoices(data) {
  const section = document.getElementById("axes");
  if (!section) return;
  const home = section.querySelector(".controls") ?? element("div", { class: "controls" });
  if (!home.parentElement) section.querySelector(".finding").after(home);
  const columns = axisColumns(data), names = drawnAxes(data, columns);
  for (const [key, words] of [["y", "Up"], ["x", "Across"]]) {
    let select = home.querySelector(`[name="${key}"]`);  // the same one, or it would lose the focus
    if (!select) {
      select = element("select", { name: key, "aria-label": `Column ${words.toLowerCase()}`, change: () => { axes[key] = select.value; drawFigures(figuresOf(page.data)); changed(); } });
      home.append(element("label", { class: "field" }, element("span", {}, words), select));
    }
    refill(select, ...[...columns.values()].map(({ name, title }) => element("option", { value: name }, title)));
    select.value = names[key];
  }
}

/** The figures of the data, and this one after those of the sweep. */
function figuresOf(data) {
  const chosen = chosenAxes(data);
  return chosen ? [...data.figures, chosen] : data.figures;
}
