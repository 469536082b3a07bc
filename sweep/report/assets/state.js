// The one state that tables, figures and views draw from, and who is told when it changes.

const page = {
  data: null,
  columns: new Map(),    // every name of a column → {name, title, kind, isParameter, of: id → value}
  ids: [],               // the ranked trials, in order
  filter: "",
  statuses: new Set(),   // statuses that are kept; none: all
  keeps: null,           // what the filter keeps, as a function of an id; null: everything
  selection: null,       // Set of ids; null: none
  from: "",              // where the selection was made: "table", or the name of a figure
  group: "",             // name of the parameter that trials are grouped by
  listeners: [],
};

/** Calls `listener` after every change of filter, selection or group. */
const onChange = (listener) => page.listeners.push(listener);
const changed = () => page.listeners.forEach((listener) => listener());

/** The trials that are not faded: the selected ones, else those the filter keeps; null: all. */
function active() {
  if (page.selection) return page.selection;
  return page.kept;
}

/** Values of the objective of those of these trials that had all their epochs: pruned ones had not. */
function wholeValues(ids) {
  const status = page.columns.get("status").of, value = page.columns.get(page.data.objective.metric)?.of ?? new Map();
  return ids.filter((id) => status.get(id) !== "pruned" && (value.get(id) ?? null) !== null).map((id) => value.get(id));
}

function select(ids, from) {
  page.selection = ids && ids.size ? ids : null;
  page.from = page.selection ? from : "";
  changed();
}

/** Sets the filter; returns a sentence if it cannot be read, and keeps the earlier one then. */
function setFilter(text) {
  let keeps = null;
  if (text.trim()) {
    try {
      keeps = parseFilter(text, page.columns);
    } catch (error) {
      if (error instanceof FilterError) return error.message.endsWith("?") ? error.message : `${error.message}.`;
      throw error;
    }
  }
  page.filter = text;
  page.keeps = keeps;
  refilter();
  changed();
  return "";
}

function refilter() {
  const { keeps, statuses } = page, status = page.columns.get("status")?.of;
  page.kept = null;
  if (!keeps && !statuses.size) return;
  const kept = page.ids.filter((id) => (!keeps || keeps(id)) && (!statuses.size || statuses.has(status.get(id))));
  page.kept = new Set(kept);
}

/** Takes newer data; what the reader has chosen stays, as far as it still exists. */
function setData(data) {
  page.data = data;
  page.ids = data.tables.flatMap(({ trials }) => trials);
  page.columns = new Map();
  for (const { trials, columns } of data.tables) {
    for (const column of columns) {
      const known = page.columns.get(column.name) ?? { ...column, of: new Map() };
      trials.forEach((id, row) => known.of.set(id, column.values[row]));
      page.columns.set(column.name, known);
    }
  }
  const own = [...page.columns.values()];
  for (const column of own) {  // its short name and its heading are names too, where they are free
    for (const name of [column.title, column.title.toLowerCase(), column.title.replaceAll(" ", "_")]) {
      if (!page.columns.has(name)) page.columns.set(name, column);
    }
  }
  const there = new Set(page.ids), chosen = [...page.selection ?? []].filter((id) => there.has(id));
  page.selection = chosen.length ? new Set(chosen) : null;
  if (page.keeps) {
    try { page.keeps = parseFilter(page.filter, page.columns); } catch { page.keeps = null; }
  }
  refilter();
}
