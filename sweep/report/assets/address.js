// What the reader has chosen, as a part of the address, so that a link to it shows the same:
// `#?filter=val_dice>0.9&group=loss.sqrt_epsilon&sort=status&sort=-hd95`. It has the names of
// ranking.csv.

const MOST_NAMED = 60;  // selected trials that an address names

/** The choices that differ from those of a fresh page, [name, text]. */
function choices() {
  const { filter, statuses, group, selection, from } = page;
  const named = selection && selection.size <= MOST_NAMED ? page.ids.filter((id) => selection.has(id)) : [];
  return [
    ["filter", filter], ...[...statuses].map((status) => ["status", status]), ["group", group],
    ...sorts.map(({ name, falls }) => ["sort", (falls ? "-" : "") + name]), ...[...hidden].map((name) => ["hide", name]), ...moved.map((name) => ["column", name]),
    ["select", named.join()], ["brushed", named.length && from !== "table" ? "1" : ""], ["up", axes.y], ["across", axes.x], ["colour", axes.colour],
    ["map", axes.isMap ? "" : "off"], ["smooth", curveLook.epochs > 1 ? String(curveLook.epochs) : ""], ["way", curveLook.way === "exponential" ? "" : curveLook.way], ["log", curveLook.isLog ? "1" : ""],
  ].filter(([, text]) => text);
}

/** The address without a view: the choices, or the section that the reader has gone to. */
function writeAddress() {
  if (namesView()) return;
  const query = new URLSearchParams(choices()).toString();
  if (query || location.hash.startsWith("#?")) history.replaceState(null, "", query ? `#?${query}` : "#");
}

/** Chooses what the address names. Columns that this sweep lacks, perhaps only as yet, change nothing. */
function readAddress() {
  if (!location.hash.startsWith("#?")) return;
  const asked = new URLSearchParams(location.hash.slice(2)), text = (name) => asked.get(name) ?? "";
  const statuses = new Set(page.columns.get("status")?.of.values());
  page.statuses = new Set(asked.getAll("status").filter((one) => statuses.has(one)));
  page.group = text("group");
  sorts.splice(0, sorts.length, ...asked.getAll("sort").map((one) => ({ name: one.replace(/^-/, ""), falls: one.startsWith("-") })));
  hidden.clear();
  for (const name of asked.getAll("hide")) hidden.add(name);
  Object.assign(axes, { y: text("up"), x: text("across"), colour: text("colour"), isMap: text("map") !== "off" });
  moved.splice(0, moved.length, ...asked.getAll("column"));
  const smooth = Number(text("smooth")) || 1;
  Object.assign(curveLook, { epochs: Math.min(STEPS_OF_SMOOTHING.at(-1), smooth < 1 ? 1 / (1 - smooth) : smooth), way: text("way") in WAYS ? text("way") : "exponential", isLog: text("log") === "1" });
  const ids = text("select").split(",").filter((id) => page.ids.includes(id));
  page.selection = ids.length ? new Set(ids) : null;
  page.from = !ids.length ? "" : text("brushed") ? "address" : "table";
  controls.filter.value = text("filter");
  updateControls(page.data);
  grids.forEach(drawHead);
  refilter();
  changed();
  applyFilter(text("filter"));
  drawFigures(figuresOf(page.data));
  drawAxisChoices(page.data);
  drawCurves();
}

onChange(() => {  // soon: browsers refuse a page that changes its address at every key
  clearTimeout(writeAddress.later);
  writeAddress.later = setTimeout(writeAddress, 300);
});
window.addEventListener("hashchange", () => { readAddress(); writeAddress(); });
