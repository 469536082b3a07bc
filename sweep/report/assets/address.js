// What the reader has chosen, as a part of the address, so that a link to it shows the same:
// `#?filter=val_dice>0.9&group=loss.sqrt_epsilon&sort=-hd95`. It has the names of ranking.csv.

const MOST_NAMED = 60;  // selected trials that an address names
const list = (text) => (text ? text.split(",") : []);

/** The choices that differ from those of a fresh page, name → text. */
function choices() {
  const { filter, statuses, group, selection, from } = page;
  const named = selection && selection.size <= MOST_NAMED ? page.ids.filter((id) => selection.has(id)) : [];
  const found = {
    filter, status: [...statuses].join(), group, sort: sorts.map(({ name, falls }) => (falls ? "-" : "") + name).join(),
    hide: [...hidden].join(), select: named.join(), brushed: named.length && from !== "table" ? "1" : "",
    up: axes.y === axes.first?.y ? "" : axes.y, across: axes.x === axes.first?.x ? "" : axes.x,
  };
  return Object.entries(found).filter(([, text]) => text);
}

/** Whether the address names a view of trials, which stays until it is closed. */
const namesView = () => /^#(trial|compare)\//.test(location.hash);

/** The address without a view: the choices, or the section that the reader has gone to. */
function writeAddress() {
  if (namesView()) return;
  const query = new URLSearchParams(choices()).toString();
  if (query || location.hash.startsWith("#?")) history.replaceState(null, "", query ? `#?${query}` : "#");
}

/** Chooses what the address names, as far as this sweep has it. */
function readAddress() {
  if (!location.hash.startsWith("#?")) return;
  const asked = new URLSearchParams(location.hash.slice(2)), text = (name) => asked.get(name) ?? "";
  const names = axisColumns(page.data), there = (name) => names.has(name);
  const statuses = new Set(page.columns.get("status")?.of.values());
  page.statuses = new Set(list(text("status")).filter((one) => statuses.has(one)));
  page.group = there(text("group")) ? text("group") : "";
  sorts.splice(0, sorts.length, ...list(text("sort")).map((one) => ({ name: one.replace(/^-/, ""), falls: one.startsWith("-") })));
  hidden.clear();
  for (const name of list(text("hide"))) hidden.add(name);
  if (there(text("up"))) axes.y = text("up");
  if (there(text("across"))) axes.x = text("across");
  const ids = list(text("select")).filter((id) => page.ids.includes(id));
  page.selection = ids.length ? new Set(ids) : null;
  page.from = !ids.length ? "" : text("brushed") ? "address" : "table";
  controls.filter.value = text("filter");
  updateControls(page.data);
  grids.forEach(drawHead);
  refilter();
  changed();
  if (text("filter") !== page.filter) applyFilter(text("filter"));
  drawFigures(figuresOf(page.data));
  drawAxisChoices(page.data);
}

onChange(() => {  // soon: browsers refuse a page that changes its address at every key
  clearTimeout(writeAddress.later);
  writeAddress.later = setTimeout(writeAddress, 300);
});
window.addEventListener("hashchange", () => { readAddress(); writeAddress(); });
