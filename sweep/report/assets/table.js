// The ranking: rows drawn as they scroll into view, first columns frozen, sorted by a click.

const ROW = 30;  // pixels; as in page.css
const MARGIN = 12;  // rows drawn above and below what is seen
const PRINTED = 100;  // rows on paper
const KEPT = new Set(["rank", "trial_id"]);  // columns that are never left out
const PINNED = 2 / 3;  // of the table's width, which columns that stay in place may fill
const grids = new Map();  // name of a table → its parts
const sorts = [];         // how the reader has sorted them: {name, falls}, the first decides first
const hidden = new Set();  // names of the columns that the reader has left out
const moved = [];  // names of the columns in the reader's order; empty: that of the data

function drawTables(data) {
  const home = document.getElementById("tables");
  const names = data.tables.map(({ name }) => name).join();
  if (home.dataset.names !== names) {
    home.replaceChildren();
    grids.clear();
    home.dataset.names = names;
  }
  if (!data.tables.length) home.replaceChildren(element("p", { class: "reading" }, "No trial has ended yet."));
  for (const table of data.tables) {
    const grid = grids.get(table.name) ?? newGrid(table, home);
    grid.table = table;
    grid.rowOf = new Map(table.trials.map((id, row) => [id, row]));
    drawHead(grid);
    grid.order.textContent = table.order;
    refresh(grid);
  }
}

/** The trials that have no row yet, each with a link to its view. */
function drawUnfinished({ unfinished }) {
  const home = document.getElementById("tables");
  home.querySelector(".unfinished")?.remove();
  if (!unfinished.length) return;
  const links = unfinished.slice(0, 40).flatMap((id) => [" ", element("a", { href: `#trial/${id}` }, id)]);
  const rest = unfinished.length > 40 ? ` and ${unfinished.length - 40} more` : "";
  home.append(element("p", { class: "reading unfinished" }, `Not ranked, ${unfinished.length} unfinished:`, ...links, rest));
}

function newGrid({ name, title }, home) {
  const grid = { name, ids: [] };
  grid.head = element("tr");
  grid.body = element("tbody");
  grid.columns = element("colgroup");
  grid.view = element("table", { id: title ? name : null }, element("caption", { class: "unseen" }, title || "Ranking of the trials"),
    grid.columns, element("thead", {}, grid.head), grid.body);
  grid.scroll = element("div", { class: "grid", tabindex: "0", role: "region", "aria-label": title || "Ranking" }, grid.view);
  grid.order = element("p", { class: "reading" });
  grid.more = element("p", { class: "more", "aria-live": "polite" });
  grid.said = element("p", { class: "unseen", role: "status" });
  grid.scroll.addEventListener("scroll", () => { drawRows(grid); tellMore(grid); }, { passive: true });
  new ResizeObserver(() => { if (moved.length) refit(grid); drawRows(grid); tellMore(grid); }).observe(grid.scroll);
  home.append(element("div", { class: "part" }, title ? element("h3", {}, title) : null, grid.order, grid.more, grid.said, grid.scroll));
  grids.set(name, grid);
  return grid;
}

/** Pixels that hold the widest text of a column; long words are cut with an ellipsis. */
function widthOf({ title, texts, name }) {
  if (name === "rank") return 44;
  const widest = texts.reduce((most, text) => Math.max(most, text.length), 0);
  const word = Math.max(...title.split(/(?<=[._ ])/).map((one) => headWidth(`${one.trim()} ↑`)));  // sorted by it
  return Math.ceil(Math.max(8 * Math.min(26, widest), Math.min(220, word), 32) + 20);
}

/** Pixels of a word in a heading; letters differ threefold in width, so counting them would not do. */
function headWidth(word) {
  headWidth.pen ??= document.createElement("canvas").getContext("2d");
  headWidth.pen.font = `600 13px ${getComputedStyle(document.body).fontFamily}`;
  return headWidth.pen.measureText(word).width;
}

/** The columns of a table in the reader's order, without those that are left out. */
const columnsOf = ({ table }) => inOrder(table.columns).filter(({ name }) => KEPT.has(name) || !hidden.has(name));

/** Columns in the reader's order. One that has come since then follows the one before it. */
function inOrder(columns) {
  if (!moved.length) return columns;
  const found = moved.map((name) => columns.find((one) => one.name === name)).filter(Boolean);
  columns.forEach((column, n) => {
    if (!found.includes(column)) found.splice(n ? found.indexOf(columns[n - 1]) + 1 : 0, 0, column);
  });
  return found;
}

/** All columns of the tables in the reader's order. */
const allColumns = (data) => inOrder([...new Map(data.tables.flatMap(({ columns }) => columns).map((one) => [one.name, one])).values()]);

/** Moves a column in front of the one named `before`; null: to the end. The focus goes with it. */
function move(name, before) {
  if (name === before) return;
  const home = document.activeElement?.closest(".grid thead, .chips");
  const names = allColumns(page.data).map((one) => one.name).filter((one) => one !== name);
  names.splice(before === null ? names.length : names.indexOf(before), 0, name);
  moved.splice(0, moved.length, ...names);
  reorder();
  home?.querySelector(`button[data-name="${CSS.escape(name)}"]`)?.focus({ preventScroll: true });
  for (const { said, table } of grids.values()) {
    const at = inOrder(table.columns).findIndex((one) => one.name === name);
    if (at >= 0) said.textContent = `${table.columns.find((one) => one.name === name).title} is column ${at + 1} of ${table.columns.length}.`;
  }
}

/** Draws the columns in an order that has just changed. */
function reorder() {
  grids.forEach(drawHead);
  updateControls(page.data);
  changed();
}

/**
 * Lets the reader move a column by the button that stands for it: by Shift and the arrow keys, or by
 * dragging it over another button of the same row.
 */
function movable(button) {
  const { name } = button.dataset, siblings = () => [...button.closest("tr, .chips").querySelectorAll("button[data-name]")];
  const after = (other) => siblings()[siblings().indexOf(other) + 1]?.dataset.name ?? null;
  const place = (other, isBehind) => move(name, isBehind ? after(other) : other.dataset.name);
  let start = null, over = null, isMoved = false;
  const mark = (side) => { if (over) over.dataset.drop = side; };
  const forget = () => { if (over) delete over.dataset.drop; over = null; };
  const isBehind = ({ clientX }) => { const { left, width } = over.getBoundingClientRect(); return clientX > left + width / 2; };
  button.addEventListener("keydown", (event) => {
    const step = event.shiftKey && { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const beside = siblings()[siblings().indexOf(button) + step];
    if (beside) place(beside, step > 0);
  });
  button.addEventListener("pointerdown", ({ button: pressed, clientX, pointerId }) => {
    isMoved = false;
    start = pressed ? null : clientX;
    button.setPointerCapture(pointerId);  // the pointer's next place may be over another button
  });
  button.addEventListener("pointermove", (event) => {
    if (start === null || (!isMoved && Math.abs(event.clientX - start) < 6)) return;
    isMoved = true;
    forget();
    const found = document.elementFromPoint(event.clientX, event.clientY)?.closest("th, .chip");
    over = siblings().find((one) => one !== button && found?.contains(one)) ?? null;
    if (over) mark(isBehind(event) ? "behind" : "before");
    const grid = button.closest(".grid"), edges = grid?.getBoundingClientRect();
    if (edges) grid.scrollLeft += event.clientX > edges.right - 30 ? 15 : event.clientX < edges.left + 30 ? -15 : 0;
  });
  button.addEventListener("pointerup", (event) => {
    const other = over, behind = over && isBehind(event);
    start = null;
    forget();
    if (other) place(other, behind);
  });
  button.addEventListener("pointercancel", () => { start = null; forget(); });
  button.addEventListener("click", (event) => { if (isMoved) event.stopImmediatePropagation(); isMoved = false; }, true);
  return button;
}

/** Draws a table anew in which other columns stay in place, as its width has changed. */
function refit(grid) {
  const before = String(grid.lefts);
  drawHead(grid);
  if (before !== String(grid.lefts)) refresh(grid);
}

function drawHead(grid) {
  const columns = columnsOf(grid), last = columns.findIndex(({ name }) => name === "trial_id");
  grid.widths = columns.map(widthOf);
  let left = 34;
  grid.lefts = columns.map((_, n) => {  // up to the trial's name they stay in place, as far as there is room
    left += grid.widths[n];
    return n <= last && (n < 2 || left < PINNED * grid.scroll.clientWidth) ? left - grid.widths[n] : null;
  });
  const text = JSON.stringify(columns.map(({ name, title, kind }, n) => [name, title, kind, grid.lefts[n]]));
  grid.view.style.width = `${34 + grid.widths.reduce((sum, width) => sum + width, 0)}px`;
  grid.columns.replaceChildren(...[34, ...grid.widths].map((width) =>
    element("col", { style: `width: ${width}px` })));
  if (grid.text === text) return;
  grid.text = text;
  const all = element("input", { type: "checkbox", "aria-label": "Select all rows", change: () => selectAll(grid, all.checked) });
  grid.all = all;
  const heads = columns.map(({ name, title, kind }, n) => {
    const label = title.split(/(?<=[._ ])/).flatMap((one, at) => (at ? [element("wbr"), one] : [one]));
    const button = movable(element("button", { type: "button", title: name, "data-name": name, click: ({ shiftKey }) => sortBy(name, shiftKey) }, ...label));
    const style = grid.lefts[n] === null ? null : `left: ${grid.lefts[n]}px`;
    const marks = [kind === "number" ? "n" : "", style ? "frozen" : ""].join(" ").trim();
    return element("th", { scope: "col", "data-name": name, class: marks || null, style }, button);
  });
  grid.head.replaceChildren(element("th", { scope: "col", class: "frozen pick", style: "left: 0" }, all), ...heads);
}

/**
 * The first click sorts, the second sorts the other way round, the third restores the ranking. With
 * the Shift key, the column decides among rows that the earlier ones leave equal.
 */
function sortBy(name, isFurther) {
  const { metric, mode } = page.data.objective, isBestFirst = name === metric && mode === "max";
  const at = sorts.findIndex((one) => one.name === name);
  const known = isFurther || sorts.length === 1 ? sorts[at] : null;
  const next = !known ? [{ name, falls: isBestFirst }] : known.falls === isBestFirst ? [{ name, falls: !isBestFirst }] : [];
  if (isFurther) sorts.splice(at < 0 ? sorts.length : at, known ? 1 : 0, ...next);
  else sorts.splice(0, sorts.length, ...next);
  changed();
}

/** Compares two rows of a table by one column; empty cells are last both ways. */
function comparison({ table, rowOf }, { name, falls }) {
  const column = table.columns.find((one) => one.name === name);
  if (!column) return () => 0;
  const at = (id) => column.values[rowOf.get(id)] ?? null;
  const compare = column.kind === "number" ? (a, b) => a - b : (a, b) => String(a).localeCompare(String(b), "en", { numeric: true });
  return (one, other) => {
    const a = at(one), b = at(other);
    if (a === null || b === null) return (a === null) - (b === null);
    return falls ? compare(b, a) : compare(a, b);
  };
}

/** The rows that the filter and a brush leave, in the order of the ranking or of some columns. */
function refresh(grid) {
  const { table } = grid;
  const kept = page.selection && page.from !== "table" ? page.selection : page.kept;
  grid.ids = kept ? table.trials.filter((id) => kept.has(id)) : [...table.trials];
  const order = sorts.map((one) => comparison(grid, one));
  if (order.length) grid.ids.sort((one, other) => order.reduce((found, by) => found || by(one, other), 0));
  for (const head of grid.head.querySelectorAll("th[data-name]")) {
    const place = sorts.findIndex(({ name }) => name === head.dataset.name), { falls } = sorts[place] ?? {};
    if (place === 0) head.setAttribute("aria-sort", falls ? "descending" : "ascending");
    else head.removeAttribute("aria-sort");
    const arrow = place < 0 ? "" : ` ${falls ? "↓" : "↑"}${sorts.length > 1 ? place + 1 : ""}`;
    if (arrow) head.firstChild.dataset.sorted = arrow; else delete head.firstChild.dataset.sorted;
  }
  grid.view.setAttribute("aria-rowcount", grid.ids.length + 1);
  grid.all.checked = grid.ids.length > 0 && grid.ids.every((id) => page.selection?.has(id));
  grid.drawn = "";
  drawRows(grid);
  drawRows(grid);  // they have made it higher; the observer misses a height that comes back within one frame
  tellMore(grid);
}

function drawRows(grid) {
  const { scroll, ids } = grid;
  const height = printing.matches ? PRINTED * ROW : scroll.clientHeight || 600;
  const first = Math.max(0, Math.floor(scroll.scrollTop / ROW) - MARGIN);
  const last = Math.min(ids.length, Math.ceil((scroll.scrollTop + height) / ROW) + MARGIN);
  const drawn = `${first} ${last}`;
  if (grid.drawn === drawn) return;
  grid.drawn = drawn;
  const space = (rows) => element("tr", { class: "space", "aria-hidden": "true", style: `height: ${rows * ROW}px` });
  const focus = grid.body.contains(document.activeElement) ? document.activeElement : null;
  grid.body.replaceChildren(
    space(first), ...ids.slice(first, last).map((id, n) => rowOf(grid, id, first + n)), space(ids.length - last));
  if (focus) grid.body.querySelector(`[data-id="${focus.closest("tr").dataset.id}"] ${focus.tagName}`)?.focus({ preventScroll: true });
}

function rowOf(grid, id, place) {
  const { lefts } = grid, row = grid.rowOf.get(id), isChosen = Boolean(page.selection?.has(id));
  const pick = element("input", { type: "checkbox", "aria-label": `Select ${id}`, change: () => toggle(id) });
  pick.checked = isChosen;
  const cells = columnsOf(grid).map(({ name, kind, texts }, n) => {
    const style = lefts[n] === null ? null : `left: ${lefts[n]}px`;
    const text = texts[row];
    const content = name === "trial_id" ? element("a", { href: `#trial/${id}` }, text) : text;
    const marks = [kind === "number" ? "n" : "", style ? "frozen" : "", text === "–" ? "none" : ""].filter(Boolean).join(" ");
    return element(name === "trial_id" ? "th" : "td", { class: marks || null, style, scope: name === "trial_id" ? "row" : null, title: text.length > 26 ? text : null }, content);
  });
  return element("tr", { "data-id": id, "aria-rowindex": place + 2, class: isChosen ? "chosen" : null },
    element("td", { class: "frozen pick", style: "left: 0" }, pick), ...cells);
}

/** Says how many rows and columns are out of sight. */
function tellMore(grid) {
  const { scroll, ids, table } = grid;
  const beyond = scroll.scrollLeft + scroll.clientWidth;
  const beside = [...grid.head.cells].filter((cell) => !cell.classList.contains("frozen") && cell.offsetLeft + cell.offsetWidth > beyond + 2);
  const parts = [];
  if (ids.length < table.trials.length) parts.push(`${ids.length} of ${counted(table.trials.length, "trial")}`);
  else if (scroll.scrollHeight > scroll.clientHeight + 2) parts.push(`${counted(ids.length, "trial")}, scroll down for more`);
  if (beside.length) parts.push(`${counted(beside.length, "more column")} to the right`);
  const away = table.columns.length - columnsOf(grid).length;
  if (away) parts.push(`${counted(away, "column")} hidden`);
  const unseen = sorts.filter(({ name }) => hidden.has(name)).map(({ name, falls }) => `${name} ${falls ? "↓" : "↑"}`);
  if (unseen.length) parts.push(`sorted by ${unseen.join(", then ")} (hidden)`);
  const text = parts.join(" · ");
  if (grid.more.textContent !== text) grid.more.textContent = text;
  scroll.classList.toggle("cut", beside.length > 0);
}

function toggle(id) {
  const chosen = new Set(page.selection ?? []);
  if (!chosen.delete(id)) chosen.add(id);
  select(chosen, page.from || "table");
}

function selectAll(grid, isOn) {
  const chosen = new Set(page.selection ?? []);
  for (const id of grid.ids) if (isOn) chosen.add(id); else chosen.delete(id);
  select(chosen, page.from || "table");
}

/** Leaves a column out of the tables, or brings it back. */
function hide(name, isHidden) {
  if (isHidden) hidden.add(name); else hidden.delete(name);
  grids.forEach(drawHead);
  changed();
}

onChange(() => grids.forEach(refresh));
printing.addEventListener("change", () => grids.forEach((grid) => { grid.drawn = ""; drawRows(grid); }));
