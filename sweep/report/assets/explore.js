// Filter, selection and groups: the controls above the tables, and the bar that says what is selected.

const controls = {};

function drawControls() {
  const body = document.querySelector("#ranking > .body");
  if (!body || controls.filter) return;
  controls.filter = element("input", {
    type: "search", id: "filter", spellcheck: "false", autocomplete: "off", list: "filter-names",
    "aria-describedby": "filter-wrong", input: () => applyFilter(controls.filter.value),
  });
  controls.names = element("datalist", { id: "filter-names" });
  controls.wrong = element("p", { id: "filter-wrong", class: "wrong", role: "status" });
  controls.statuses = element("div", { class: "chips", role: "group", "aria-label": "Keep only trials of a status" });
  controls.group = element("select", { id: "group", change: () => { page.group = controls.group.value; changed(); } });
  controls.columns = element("div", { class: "chips", role: "group", "aria-label": "Columns of the table" });
  controls.reorder = element("button", { type: "button", hidden: true, click: () => { moved.length = 0; reorder(); } }, "Order as before");
  controls.groups = element("div", { id: "groups" });
  controls.curves = element("div", { class: "figure", style: "height: 340px", role: "img", "aria-label": "Mean curves of the groups" });
  controls.box = element("div", { class: "controls" },
    element("label", { class: "field grow" }, element("span", {}, "Filter"), controls.filter, controls.names),
    element("label", { class: "field" }, element("span", {}, "Group by"), controls.group),
    controls.statuses, controls.wrong,
    element("details", { class: "hint" }, element("summary", {}, "Columns"), controls.columns,
      element("p", { class: "reading" }, "Press a column to leave it out. Drag it, here or by its heading, to move it; or focus it and press ", element("kbd", {}, "Shift"), " with an arrow key. What stands before the trial's name stays in place when the table scrolls. ", controls.reorder)),
    element("p", { class: "reading hint" }, "Tick rows, or drag over the points and parallel axes of the figures: the table and all figures follow. Click a trial, or a point, for its own view. Keys: ",
      element("kbd", {}, "/"), " filter, ", element("kbd", {}, "C"), " compare what is ticked, ", element("kbd", {}, "Esc"), " clear, ",
      element("kbd", {}, "Shift"), " with a click on a heading: sort by one more column. The address keeps your choices."));
  body.append(controls.box, controls.groups, element("div", { id: "tables" }));
  controls.told = element("span", { role: "status" });
  controls.compare = element("button", { type: "button", click: compareSelected }, "Compare ", element("kbd", {}, "C"));
  controls.bar = element("aside", { id: "selection", "aria-label": "Selection", hidden: true }, controls.told,
    controls.compare,
    element("a", { href: "#ranking", class: "button" }, "Show in table"),
    element("button", { type: "button", click: clear }, "Clear ", element("kbd", {}, "Esc")));
  document.body.append(controls.bar);
}

function updateControls(data) {
  controls.box.hidden = !data.tables.length;
  const names = [...new Set(data.tables.flatMap(({ columns }) => columns.map(({ name }) => name)))];
  const metric = names.includes(data.objective.metric) ? data.objective.metric : "epochs";
  controls.filter.placeholder = `${metric} > ${example(metric)} and status = completed`;
  refill(controls.names, ...names.map((name) => element("option", { value: `${name} ` })));
  const chosen = page.group, shown = allColumns(data).filter(({ name }) => !KEPT.has(name));
  const [settings, results] = [true, false].map((isSetting) => shown.filter(({ scale }) => Boolean(scale) === isSetting).map(({ name, title }) => element("option", { value: name }, title)));
  refill(controls.group, element("option", { value: "" }, "nothing"), element("optgroup", { label: GROUPS[0] }, ...settings), element("optgroup", { label: GROUPS[1] }, ...results));
  controls.reorder.hidden = !moved.length;
  refill(controls.columns, ...shown.map(({ name, title }) => movable(element("button", {
    type: "button", class: "chip", title: name, "data-name": name, "aria-pressed": String(!hidden.has(name)),
    click: ({ currentTarget: button }) => { hide(name, !hidden.has(name)); button.setAttribute("aria-pressed", String(!hidden.has(name))); },
  }, title))));
  controls.group.value = shown.some(({ name }) => name === chosen) ? chosen : "";
  page.group = controls.group.value;
  const statuses = page.columns.get("status")?.of ?? new Map(), counts = new Map();
  for (const status of statuses.values()) counts.set(status, (counts.get(status) ?? 0) + 1);
  refill(controls.statuses, ...(counts.size > 1 ? [...counts] : []).map(([status, count]) =>
    element("button", {
      type: "button", class: `chip ${status}`, "data-status": status, "aria-pressed": String(page.statuses.has(status)),
      click: (event) => toggleStatus(status, event.currentTarget),
    }, `${status.replaceAll("_", "-")} ${count}`)));
}

/** A value for the filter's example: that of the trial after the first quarter of the ranking. */
function example(metric) {
  const values = [...(page.columns.get(metric)?.of.values() ?? [])].filter((value) => value !== null);
  const value = values[Math.floor(values.length / 4)];
  return value === undefined ? "0.9" : Number(value.toPrecision(2));
}

function applyFilter(text) {
  const wrong = setFilter(text);
  controls.wrong.textContent = wrong;
  controls.filter.setAttribute("aria-invalid", String(Boolean(wrong)));
}

function toggleStatus(status, button) {
  if (!page.statuses.delete(status)) page.statuses.add(status);
  button.setAttribute("aria-pressed", String(page.statuses.has(status)));
  refilter();
  changed();
}

/** Forgets the selection; where there is none, the filter. */
function clear() {
  if (page.selection) return select(null, "");
  controls.filter.value = "";
  page.statuses.clear();
  for (const chip of controls.statuses.children) chip.setAttribute("aria-pressed", "false");
  applyFilter("");
}

function compareSelected() {
  const ids = page.ids.filter((id) => page.selection?.has(id));
  if (ids.length > 1) location.hash = `compare/${ids.join("/")}`;
}

function tellSelection() {
  const kept = active();
  controls.bar.hidden = !kept;
  if (!kept) return;
  const { short: name } = page.data.objective, ids = page.ids.filter((id) => kept.has(id)), values = wholeValues(ids);
  const what = page.selection ? "selected" : "pass the filter";
  const average = values.length > 1 ? `; ${name} ${score(mean(values))} ± ${score(deviation(values))}${values.length < ids.length ? ` over the ${values.length} with a result that were not pruned` : ""}` : "";
  const first = ids.length ? `, first ${ids[0]}` : "";
  controls.told.textContent = `${ids.length} of ${counted(page.ids.length, "trial")} ${what}${average}${first}`;
  controls.compare.hidden = !page.selection || ids.length < 2;
}

// Groups.

const LOOKS = [["#08306b", "solid"], ["#c05621", "dash"], ["#3f8fc5", "dot"], ["#5b7553", "dashdot"], ["#8e6c8a", "longdash"], ["#4b5563", "longdashdot"]];
const MOST_GROUPS = LOOKS.length;
const TURNS = [0, 3, 1, 4, 2, 5];  // of the dashes against the colours

/** Colour and dash of the n-th of some trials: a colour that comes again has another dash, up to the 36th. */
const lookOf = (n) => [LOOKS[n % LOOKS.length][0], LOOKS[(n + TURNS[Math.floor(n / LOOKS.length) % TURNS.length]) % LOOKS.length][1]];

/**
 * The trials by the values of a parameter, [text, ids], each in the order of the ranking. Many numbers
 * are split into quarters of the trials; equal ones stay together, so the quarters may differ in size.
 */
function groupsOf(name, ids) {
  const column = page.columns.get(name), texts = new Map();
  for (const table of page.data.tables) {
    const own = table.columns.find((one) => one.name === name);
    if (own) table.trials.forEach((id, row) => texts.set(id, own.texts[row]));
  }
  const known = ids.filter((id) => (column.of.get(id) ?? null) !== null);
  const isNumber = column.kind === "number", by = new Map();
  const order = isNumber ? [...known].sort((a, b) => column.of.get(a) - column.of.get(b)) : known;
  const isSplit = isNumber && new Set(known.map((id) => column.of.get(id))).size > MOST_GROUPS;
  let quarter = 0;
  order.forEach((id, n) => {
    if (column.of.get(id) !== column.of.get(order[n - 1])) quarter = Math.floor(4 * n / order.length);
    const key = isSplit ? quarter : texts.get(id);
    if (!by.has(key)) by.set(key, []);
    by.get(key).push(id);
  });
  const place = new Map(ids.map((id, n) => [id, n]));
  return [...by.values()].map((members) => {
    const ends = [members[0], members.at(-1)].map((id) => texts.get(id));
    return [[...new Set(ends)].join(" to "), members.sort((a, b) => place.get(a) - place.get(b))];
  });
}

function drawGroups() {
  const home = controls.groups;
  if (!page.group) {
    Plotly.purge(controls.curves);
    return home.replaceChildren();
  }
  const kept = active(), ids = kept ? page.ids.filter((id) => kept.has(id)) : page.ids;
  const groups = groupsOf(page.group, ids), { metric, mode, heading, short: name, label } = page.data.objective;
  const status = page.columns.get("status").of, value = page.columns.get(metric)?.of ?? new Map();
  const rows = groups.map(([title, members]) => {
    const [diverged, pruned] = ["diverged", "pruned"].map((kind) => members.filter((id) => status.get(id) === kind).length);
    const known = members.filter((id) => (value.get(id) ?? null) !== null);
    const values = wholeValues(members);
    const all = known.map((id) => value.get(id)), edge = mode === "max" ? Math.max(...all) : Math.min(...all);
    const best = members.find((id) => value.get(id) === edge);
    return element("tr", {}, element("th", { scope: "row" }, title),
      ...[members.length, diverged, pruned, values.length ? score(mean(values)) : "–", values.length > 1 ? score(deviation(values)) : "–", best ? score(value.get(best)) : "–"]
        .map((text) => element("td", { class: "n" }, String(text))),
      element("td", {}, best ? element("a", { href: `#trial/${best}` }, best) : "–"));
  });
  const { title } = page.columns.get(page.group);
  const heads = [title, "trials", "diverged", "pruned", `mean ${heading}`, "SD", "best", "best trial"];
  const left = groups.length - MOST_GROUPS;
  home.replaceChildren(
    element("h3", {}, `Grouped by ${title}`),
    element("p", { class: "reading" }, `Mean and standard deviation (SD) of the best ${label} of each group's trials that ended by themselves: pruned ones had fewer epochs to reach it. The best is that of all. The curves are means over the trials that reached the epoch, the bands one SD. Pruned and diverged trials end early, so late epochs average those that were worth going on with. Other parameters vary within a group.${left > 0 ? ` The last ${counted(left, "group")} of the table ${left > 1 ? "have" : "has"} no curve.` : ""}`),
    element("div", { class: "split" },
      element("div", { class: "wide" }, element("table", { class: "plain" }, element("caption", { class: "unseen" }, `Groups by ${title}`),
        element("thead", {}, element("tr", {}, ...heads.map((text, n) => element("th", { scope: "col", class: n && n < 7 ? "n" : null }, text)))),
        element("tbody", {}, ...rows))),
      controls.curves));
  const traces = groups.slice(0, MOST_GROUPS).flatMap(([text, members], n) => bandOf(text, members, LOOKS[n]));
  plain(controls.curves, traces, { uirevision: page.group, xaxis: { title: { text: "epoch (from 0)" } }, yaxis: { title: { text: `mean ${name}` } } });
}

/** A group's mean curve and the band of one standard deviation around it. */
function bandOf(name, members, [color, dash]) {
  const curves = members.map((id) => page.data.trials[id].curves.value);
  const x = [], middle = [], low = [], high = [];
  for (let epoch = 0; epoch < Math.max(...curves.map(({ length }) => length)); epoch += 1) {
    const values = curves.map((curve) => curve[epoch]).filter((value) => value !== null && value !== undefined);
    if (!values.length) continue;
    const m = mean(values), d = values.length > 1 ? deviation(values) : 0;
    x.push(epoch); middle.push(m); low.push(m - d); high.push(m + d);
  }
  const edge = { x, mode: "lines", line: { width: 0, color }, showlegend: false, hoverinfo: "skip", legendgroup: name };
  return [
    { ...edge, y: low }, { ...edge, y: high, fill: "tonexty", fillcolor: `${color}22` },
    { x, y: middle, name, mode: "lines", legendgroup: name, line: { color, dash, width: 2 }, hovertemplate: `${name}, epoch %{x}: %{y:.4~f}<extra></extra>` },
  ];
}

/** A figure of the page's own, in its fonts and colours. */
function plain(place, traces, layout = {}) {
  const axis = { gridcolor: tone("line"), linecolor: tone("soft"), zeroline: false, ticks: "outside", tickcolor: tone("soft"), automargin: true };
  const titled = Object.fromEntries(Object.entries(layout).map(([key, value]) => [key, /^[xy]axis/.test(key) ? { ...axis, ...value } : value]));
  Plotly.react(place, isDark() ? traces.map(lightened) : traces, {
    template: {}, font: { family: getComputedStyle(document.body).fontFamily, size: 12, color: tone("ink") },
    margin: { l: 56, r: 12, t: 28, b: 44 }, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
    legend: { orientation: "h", y: 1.02, yanchor: "bottom", x: 0 }, modebar: { bgcolor: "rgba(0,0,0,0)" }, hovermode: "closest", dragmode: touches ? false : "zoom", ...titled,
  }, { ...options, displayModeBar: false });
}

/** A trace in dark colours; eight-digit colours (with alpha) are kept legible too. */
const lightened = (trace) => themed({ ...trace, ...(trace.fillcolor ? { fillcolor: `${turned(trace.fillcolor.slice(0, 7)).replace(/, 1\)$/, ", 0.13)")}` } : {}) });

onChange(() => { tellSelection(); drawGroups(); });
onColours(drawGroups);
