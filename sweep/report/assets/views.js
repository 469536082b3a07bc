// The views of one trial and of some beside each other, in a dialog that the address names:
// `#trial/t0003`, `#compare/t0003/t0007`.

/** Parts of a trial's view, (id, trial) → element or null, in order. Other scripts add to it. */
const trialParts = [settingsOf, commandOf, diagnosisOf, curvesOf, casesOf, testOf, remarksOf, originOf];
/** Parts of a comparison, ([id, trial], [id, trial], …) → element or null, in order. */
const compareParts = [differencesOf, curvesOfAll, pairsOf];

const MOST_IN_TITLE = 6, MOST_MARKED = 12;  // trials whose names are the title of a comparison, and whose epochs are marked
let dialog = null;
let viewed = "";  // the data that the open view was drawn from
const drawLater = [];  // figures of the open view, drawn once it has a size

const figureThere = (key) => [...dialog?.querySelectorAll("[data-key]") ?? []].find((one) => one.dataset.key === key);

/** The element of a figure in a view. Where the open view has it already, it is that one: plotly
 *  then draws newer data into it as the reader has zoomed it. */
function figureIn(key, kind, label) {
  return figureThere(key) ?? element("div", { class: `figure ${kind}`, "data-key": key, role: "img", "aria-label": label });
}

function openDialog(title, ...content) {
  if (!dialog) {
    dialog = element("dialog", { id: "view", "aria-labelledby": "view-title" });
    dialog.addEventListener("close", () => {
      if (namesView()) history.replaceState(null, "", "#");  // a page in a notebook has no path
      writeAddress();
      purge(dialog);
    });
    dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
    dialog.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (step && !event.target.closest("select, input, .figure, .wide") && dialog.dataset.trial) go(step);
    });
    document.body.append(dialog);
  }
  const close = element("button", { type: "button", class: "close", "aria-label": "Close", click: () => dialog.close() }, "×");
  purge(dialog);
  dialog.replaceChildren(element("div", { class: "view-head" }, element("h2", { id: "view-title", tabindex: "-1" }, title), close), ...content.filter(Boolean));
  if (!dialog.open) dialog.showModal();
  dialog.scrollTop = 0;
  dialog.querySelector("#view-title").focus({ preventScroll: true });
  drawLater.splice(0).forEach((drawn) => drawn());
}

/** The trials that the address names, each once. */
const idsInAddress = () => [...new Set(location.hash.split("/").slice(1))];

/** Whether the address names a view of trials that there are. It stays until the view is closed. */
const namesView = () => /^#(trial|compare)\//.test(location.hash) && idsInAddress().every((id) => Object.hasOwn(page.data.trials, id));

/** Opens the view that the address names, or closes the open one. */
function route() {
  if (!namesView()) return dialog?.close();
  const [kind] = location.hash.slice(1).split("/"), ids = idsInAddress();
  viewed = textOf(ids);
  if (kind === "trial" && ids.length === 1) return openTrial(ids[0]);
  if (kind === "compare" && ids.length > 1) return openComparison(ids);
  return dialog?.close();
}

/** Everything that a view draws of these trials, to see whether it has changed. */
const textOf = (ids) => JSON.stringify(ids.map((id) => page.data.trials[id]));

/** Draws the open view anew where newer data differ, unless somebody is choosing or marking there. */
function refreshView() {
  if (!dialog?.open) return;
  if (viewed === textOf(idsInAddress())) return;
  if (dialog.querySelector("select:focus, button:active") || String(getSelection())) return;
  redrawView();
}

/** Draws the open view anew at the place that the reader has scrolled to; the focus stays on its button. */
function redrawView() {
  const top = dialog.scrollTop, opened = [...dialog.querySelectorAll("details")].map(({ open }) => open);
  const buttons = () => [...dialog.querySelectorAll("button")], at = buttons().indexOf(document.activeElement);
  route();
  buttons()[at]?.focus({ preventScroll: true });
  dialog.querySelectorAll("details").forEach((one, n) => { one.open = opened[n] ?? one.open; });
  dialog.scrollTop = top;
}

function go(step) {
  const at = page.ids.indexOf(dialog.dataset.trial), next = page.ids[at + step];
  if (at >= 0 && next) location.replace(`#trial/${next}`);
}

function openTrial(id) {
  const trial = page.data.trials[id], place = page.ids.indexOf(id);
  const rank = page.columns.get("rank")?.of.get(id);
  const { label } = page.data.objective;
  const facts = [
    trial.status_words + (trial.preset ? `, preset ${trial.preset}` : ""),
    rank && trial.has_result ? `rank ${rank}` : null,
    trial.value === null ? null : `${label} ${score(trial.value)} in epoch ${trial.best_epoch}${trial.status === "diverged" ? ", before it diverged" : ""}`,
    counted(trial.epochs, "epoch"),
    trial.replicate ? `replicate of ${trial.replicate.of}, seed ${trial.replicate.seed}, fold ${trial.replicate.fold}` : null,
  ].filter(Boolean).join(" · ");
  const step = (n, text) => element("button", { type: "button", click: () => go(n), disabled: !page.ids[place + n] || place < 0 }, text);
  const others = page.ids.filter((one) => one !== id);
  const against = element("select", { "aria-label": `Compare ${id} with`, change: () => { location.hash = `compare/${id}/${against.value}`; } },
    element("option", { value: "" }, "compare with …"), ...others.slice(0, 500).map((one) => element("option", { value: one }, one)));
  openDialog(id,
    element("p", { class: "state" }, facts),
    trial.cause ? element("p", { class: "cause" }, ...prose(trial.cause)) : null,
    element("div", { class: "choices" }, step(-1, "← better"), step(1, "worse →"), others.length ? against : null),
    ...trialParts.map((draw) => draw(id, trial)).filter(Boolean));
  dialog.dataset.trial = id;
}

const titled = (title, ...content) => element("section", {}, element("h3", {}, title), ...content);

function simpleTable(caption, heads, rows, numbers = 1) {
  return element("div", { class: "wide", tabindex: "0", role: "region", "aria-label": caption },
    element("table", { class: "plain" }, element("caption", { class: "unseen" }, caption),
      element("thead", {}, element("tr", {}, ...heads.map((text, n) => element("th", { scope: "col", class: n >= numbers ? "n" : null }, text)))),
      element("tbody", {}, ...rows.map((row) => element("tr", {}, ...row.map((text, n) =>
        element(n ? "td" : "th", { class: n >= numbers ? "n" : null, scope: n ? null : "row" }, typeof text === "number" || text === null ? short(text) : text)))))));
}

function settingsOf(id, trial) {
  const names = Object.keys(trial.parameters);
  if (!names.length) return null;
  return titled("Settings that were searched", element("dl", { class: "pairs" }, ...names.flatMap((name) =>
    [element("dt", {}, name), element("dd", {}, trial.parameters[name])])));
}

function copied(command) {
  const button = element("button", { type: "button", "data-copy": true, "data-text": command }, "Copy");
  return element("div", { class: "command" }, element("code", {}, command), button);
}

function commandOf(id, trial) {
  return titled("Train it again", copied(trial.command));
}

/** What a curve shows, by its name in the data. */
const CURVES = { val_dice: "validation Dice", train_loss: "training loss", grad_norm: "gradient norm", learning_rate: "learning rate",
  "machine/cpu_cores": "CPU cores in use", "machine/memory_gib": "peak memory (GiB)", "machine/gpu_memory_gib": "peak GPU memory (GiB)",
  "machine/gpu_percent": "GPU load (%)", "machine/disk_read_mib": "read from disk (MiB)", "machine/disk_written_mib": "written to disk (MiB)",
  "machine/received_mib": "received by the node (MiB)", "machine/sent_mib": "sent by the node (MiB)" };
const curveTitle = (name) => CURVES[name] ?? name.replace(/^terms\//, "loss term ").replace(/^metrics\//, "");

/** The curves of some trials as small figures: those that show how a training went, the others on demand. */
function panels(pairs) {
  const names = new Set(pairs.flatMap(([, { curves }]) => Object.keys(curves)));
  const { metric, label } = page.data.objective;
  const blamed = new Set(pairs.map(([, { diagnosis }]) => diagnosis?.term).filter(Boolean));
  const groups = [[label, "value"]], more = [], add = (some, name, type) => some.push([curveTitle(name), name, type]);
  if (names.has("val_dice") && metric !== "val_dice") add(groups, "val_dice");
  if (names.has("train_loss")) add(groups, "train_loss");
  if (names.has("grad_norm")) add(groups, "grad_norm", "log");
  for (const name of names) if (name.startsWith("terms/")) add(blamed.has(name.slice(6)) ? groups : more, name);
  for (const name of names) if (name.startsWith("metrics/") && name.slice(8) !== metric) add(more, name);
  for (const name of names) if (name.startsWith("machine/")) add(more, name);
  if (names.has("learning_rate")) add(more, "learning_rate", "log");
  const drawn = (some) => element("div", { class: "panels" }, ...some.map(([title, name, type]) => panel(title, name, pairs, type)));
  const choice = mayChoose(pairs) ? curveChoices() : null;
  if (!more.length) return [choice, drawn(groups)];
  return [choice, drawn(groups), moreCurves(more, drawn, Boolean(figureThere(keyOf(pairs, more[0][1]))))];
}

/** Further curves, drawn when somebody opens them. */
function moreCurves(groups, drawn, isOpen) {
  const [terms, others] = [true, false].map((isTerm) => groups.filter(([, name]) => name.startsWith("terms/") === isTerm).map(([title]) => title));
  const named = terms.length ? `loss term${terms.length > 1 ? "s" : ""} ${terms.map((title) => title.slice(10)).join(", ")}` : "";
  const names = [named, others.join(", ")].filter(Boolean).join("; ");
  const home = element("div", {}, isOpen ? drawn(groups) : null);
  const fill = ({ target }) => {
    if (!target.open || home.childNodes.length) return;
    home.append(drawn(groups));
    drawLater.splice(0).forEach((draw) => draw());
  };
  return element("details", { open: isOpen, toggle: fill }, element("summary", {}, `${counted(groups.length, "more curve")}: ${names}`), home);
}

/** By which a figure of a view is known again: its trials and what it draws of them. */
const keyOf = (pairs, name) => [...pairs.map(([id]) => id), name].join(" ");

function panel(title, name, pairs, type) {
  const key = keyOf(pairs, name);
  const place = figureIn(key, "small", `${title} over the epochs`);
  const { epochs, isLog } = mayChoose(pairs) ? curveLook : {};
  const traces = pairs.flatMap(([id, { curves }], n) => {  // whoever lacks this curve keeps its colour for the others
    if (!curves[name]) return [];
    const [color, dash] = lookOf(n), y = curves[name], x = y.map((_, epoch) => epoch);
    const line = { x, name: id, line: { color, dash, width: 2 }, marker: { size: 4 }, showlegend: false };
    const hasGaps = y.includes(null);  // a point between two of them is no line
    const raw = { ...line, y, mode: (y.length < 40 && pairs.length <= MOST_MARKED) || hasGaps ? "lines+markers" : "lines", hovertemplate: `${id} epoch %{x}: %{y:.5~g}<extra></extra>` };
    if (!(epochs > 1)) return [raw];
    return [{ ...raw, opacity: 0.3 }, { ...line, y: smoothed(y), mode: "lines", connectgaps: true, hoverinfo: "skip" }];
  });
  const switches = new Map();  // epoch → whether it is the first trial's
  pairs.forEach(([, { switch_on: at, curves }], n) => { if (at !== null && at < curves.value.length && at > 0) switches.set(at, switches.get(at) || !n); });
  const shapes = [...switches].map(([at, isFirst]) => ({ type: "line", x0: at, x1: at, yref: "paper", y0: 0, y1: 1, line: { color: tone(isFirst ? "accent" : "soft"), width: 1, dash: "dot" } }));
  const isPositive = traces.every(({ y }) => y.every((value) => value === null || value > 0));
  const values = traces.flatMap(({ y }) => y.filter((value) => value !== null)), decades = Math.log10(values.reduce((a, b) => Math.max(a, b), 0) / values.reduce((a, b) => Math.min(a, b), Infinity));
  const scale = (isLog || type === "log") && isPositive ? { type: "log", exponentformat: "e", dtick: decades > 0.6 && decades < 3 ? "D2" : undefined } : { type: "linear" };
  drawLater.push(() => plain(place, traces, {
    title: { text: title, font: { size: 13 }, x: 0, xref: "paper", y: 0.98, yanchor: "top" }, shapes, margin: { l: 50, r: 8, t: 30, b: 32 },
    uirevision: key, xaxis: whole(Math.max(0, ...traces.map(({ x }) => x.length))), yaxis: { ...scale, uirevision: `${key} ${scale.type}` },
  }));
  return place;
}

/** An axis of epochs: plotly's own ticks, but never half an epoch. */
const whole = (epochs) => (epochs < 6 ? { dtick: 1 } : {});

function curvesOf(id, trial) {
  if (!trial.epochs) return null;
  const on = trial.switch_on === null ? "" : ` Its geometric loss switches on in epoch ${trial.switch_on}${trial.switch_on < trial.epochs ? " (dotted)" : "; it completed no epoch from there on"}.`;
  const shared = trial.shared_epochs ? ` It took over the first ${counted(trial.shared_epochs, "epoch")} from a shared warm-up.` : "";
  const rest = trial.in_full ? "" : " Only the objective is in this file, because the sweep has many epochs; the others stand in history.jsonl.";
  return titled("Curves", element("p", { class: "reading" }, `Epochs count from 0. Loss terms are means of the epoch, before their weight.${on}${shared}${rest}`), ...panels([[id, trial]]));
}

function diagnosisOf(id, { diagnosis, error }) {
  if (!diagnosis) return error ? titled("The error", element("pre", { tabindex: "0" }, error)) : null;
  const { message, likely_cause: cause, advice, cases = [], recent = [], command, tries } = diagnosis;
  const terms = [...new Set(recent.flatMap((step) => Object.keys(step.terms)))];
  const rows = recent.map((step) => [`${step.epoch} / ${step.step}`, step.loss, ...terms.map((name) => step.terms[name] ?? null), step.grad_norm]);
  return titled("Why it diverged",
    element("p", {}, ...prose(message)), cause ? element("p", { class: "cause" }, ...prose(cause), " ", element("span", { class: "advice" }, ...prose(advice))) : null,
    command ? element("p", { class: "reading" }, tries ? "Try the cure on the step that broke:" : "Take the step that broke again:") : null, command ? copied(command) : null,
    cases.length ? element("p", { class: "reading" }, `Cases of the batch: ${cases.join(", ")}.`) : null,
    rows.length ? simpleTable("The last steps", ["epoch / step", "loss", ...terms, "gradient norm"], rows) : null);
}

function casesOf(id, { cases, case_metrics: metrics }) {
  if (!cases) return null;
  const worst = [...cases].sort((a, b) => (a[2] ?? Infinity) - (b[2] ?? Infinity));
  const heads = ["case", "class", ...metrics];
  const table = (rows) => simpleTable("Validation cases", heads, rows, 2);
  return titled("Validation cases of the best epoch", element("p", { class: "reading" }, "Worst Dice first."), table(worst.slice(0, 8)),
    worst.length > 8 ? element("details", {}, element("summary", {}, `All ${worst.length} rows`), table(worst)) : null);
}

function testOf(id, { test }) {
  return test ? titled("Test cases", simpleTable("Test cases", ["case", "Dice", "HD95"], test)) : null;
}

function remarksOf(id, { warnings = [], notes = [] }) {
  if (!warnings.length && !notes.length) return null;
  return titled("Warnings and notes", element("ul", { class: "verdicts" }, ...warnings.map((text) => element("li", {}, ...prose(text))),
    ...notes.map(({ text, by, at }) => element("li", {}, element("span", { class: "lines" }, text), " ", element("span", { class: "reading" }, `${by}, ${at.slice(0, 16).replace("T", " ")}`)))));
}

function originOf(id, { runs = [], files = [], folder }) {
  if (!runs.length && !files.length) return null;
  const shown = runs.map((run) => element("li", {}, Object.entries(run).map(([name, value]) => `${name} ${value}`).join(" · ")));
  const home = document.body.dataset.files?.replace("TRIAL", id), at = (name) => home + encodeURIComponent(name);
  const hasAddress = (name) => home && !/\p{Surrogate}/u.test(name);  // bytes that are no text have none
  const names = files.flatMap((name, n) => [n ? ", " : ": ", hasAddress(name) ? element("a", { href: at(name), target: "_blank" }, name) : name]);
  const pictures = files.filter((name) => hasAddress(name) && /\.(png|jpe?g|webp|gif)$/i.test(name));
  return titled("Where it comes from", shown.length ? element("ul", { class: "verdicts" }, ...shown) : null,
    files.length ? element("p", { class: "reading" }, element("code", {}, folder), ...names) : null,
    pictures.length ? element("div", { class: "panels" }, ...pictures.map((name) => element("figure", { class: "attached" }, element("img", { src: at(name), alt: name, loading: "lazy" }), element("figcaption", { class: "reading" }, name)))) : null);
}

// Some trials beside each other.

function openComparison(ids) {
  const rest = page.ids.filter((id) => !ids.includes(id)).slice(0, 500);
  const more = element("select", { "aria-label": "One more trial", change: () => location.replace(`#compare/${[...ids, more.value].join("/")}`) },
    element("option", { value: "" }, "and …"), ...rest.map((id) => element("option", { value: id }, id)));
  openDialog(ids.length > MOST_IN_TITLE ? counted(ids.length, "trial") : `${ids.slice(0, -1).join(", ")} and ${ids.at(-1)}`,
    ...compareParts.map((draw) => draw(...ids.map((id) => [id, page.data.trials[id]]))).filter(Boolean));
  dialog.querySelector(".view-head").append(keyOfTrials(ids, rest.length ? more : null));  // which stays in sight
  delete dialog.dataset.trial;
}

/** The legend of a comparison: which line is which trial. Pointing at one shows its curves alone. */
function keyOfTrials(ids, ...more) {
  const without = (id) => ids.filter((one) => one !== id);
  const entries = ids.map((id, n) => {
    const [color, dash] = lookOf(n), show = () => spotlight(id), hide = () => spotlight(null);
    const leave = element("button", { type: "button", "aria-label": `Leave ${id} out`, click: () => location.replace(`#${ids.length > 2 ? "compare" : "trial"}/${without(id).join("/")}`) }, "×");
    return element("li", { mouseenter: show, mouseleave: hide, focusin: show, focusout: hide }, lineOf(color, dash), element("a", { href: `#trial/${id}` }, id), leave);
  });
  return element("div", { class: "key" }, element("ul", { "aria-label": "Compared trials" }, ...entries), ...more.filter(Boolean));
}

const DASHES = { dash: "6 4", dot: "2 3", dashdot: "6 3 2 3", longdash: "10 4", longdashdot: "10 3 2 3" };  // of SVG, by plotly's names

/** A short line as plotly draws it. */
function lineOf(color, dash) {
  const home = element("span", { class: "line", "aria-hidden": "true" });
  home.innerHTML = `<svg width="30" height="10"><line x1="1" x2="29" y1="5" y2="5" stroke="${themed(color)}" stroke-width="2" stroke-dasharray="${DASHES[dash] ?? ""}"/></svg>`;
  return home;
}

/** Fades the curves of all trials but this one in the open view; null: of none. */
function spotlight(id) {
  const faint = Math.min(FADED, 5 / idsInAddress().length);  // hundreds of faded curves would hide one
  for (const node of dialog.querySelectorAll(".panels .scatterlayer .trace")) {
    const { name, opacity } = node.__data__[0].trace;
    node.style.opacity = id === null || name === id ? opacity : faint;
  }
}

function differencesOf(...pairs) {
  const trials = pairs.map(([, trial]) => trial), each = (text) => trials.map(text);
  const names = [...new Set(trials.flatMap(({ parameters }) => Object.keys(parameters)))];
  const differ = names.filter((name) => new Set(each(({ parameters }) => parameters[name])).size > 1);
  const { label } = page.data.objective;
  const link = ([id]) => element("a", { href: `#trial/${id}` }, id);
  const rows = [
    ["status", ...each((one) => one.status_words)], [label, ...each((one) => score(one.value))],
    ["best epoch", ...each((one) => one.best_epoch)], ["epochs", ...each((one) => one.epochs)],
    ...(trials.some(({ preset }) => preset) ? [["preset", ...each(({ preset }) => preset ?? "–")]] : []),
    ...differ.map((name) => [name, ...each(({ parameters }) => parameters[name] ?? "–")]),
  ];
  const same = names.length - differ.length;
  const note = differ.length ? `Searched settings that differ: ${differ.length} of ${names.length}.` : "Their searched settings are the same.";
  return titled("What differs", element("p", { class: "reading" }, note, same && differ.length ? ` The same: ${names.filter((name) => !differ.includes(name)).join(", ")}.` : ""),
    simpleTable("What differs", ["trial", ...pairs.map(link)], rows));
}

function curvesOfAll(...pairs) {
  return titled("Curves", element("p", { class: "reading" }, "Dotted verticals: where the geometric loss switches on."), ...panels(pairs));
}

/** Scores of the cases that two trials have: a point above the diagonal is a case that the second does better. */
function pairsOf([one, a], [other, b], ...more) {
  if (more.length) return null;
  const [from, first, second] = a.cases && b.cases ? ["validation cases", a.cases, b.cases] : a.test && b.test ? ["test cases", a.test, b.test] : [];
  if (!from) return titled("Case by case", element("p", { class: "reading" }, "This page does not have scores of the same cases for both trials."));
  const isClassed = from === "validation cases";
  const key = (row) => (isClassed ? `${row[0]}, ${row[1]}` : row[0]), dice = (row) => row[isClassed ? 2 : 1];
  const theirs = new Map(second.map((row) => [key(row), dice(row)]));
  const both = first.map((row) => [key(row), dice(row), theirs.get(key(row)) ?? null]).filter(([, x, y]) => x !== null && y !== null);
  if (!both.length) return null;
  const gains = both.map(([, x, y]) => y - x), better = gains.filter((gain) => gain > 0).length, worse = gains.filter((gain) => gain < 0).length;
  const low = Math.min(...both.flatMap(([, x, y]) => [x, y])), edge = [Math.max(-0.02, low - 0.02), 1.02];
  const place = figureIn(`${one} ${other} cases`, "square", `Dice of each case, ${other} over ${one}`);
  drawLater.push(() => plain(place, [
    { x: edge, y: edge, mode: "lines", line: { color: tone("soft"), width: 1, dash: "dot" }, hoverinfo: "skip", showlegend: false },
    { x: both.map(([, x]) => x), y: both.map(([, , y]) => y), text: both.map(([name]) => name), mode: "markers", showlegend: false,
      marker: { size: 8, color: "#3f8fc5", line: { width: 1, color: "#08306b" } }, hovertemplate: `%{text}<br>${one} %{x:.4f}, ${other} %{y:.4f}<extra></extra>` },
  ], { uirevision: place.dataset.key, xaxis: { title: { text: `Dice of ${one}` }, range: edge }, yaxis: { title: { text: `Dice of ${other}` }, range: edge } }));
  const spread = gains.length > 1 ? ` (SD of the differences ${deviation(gains).toFixed(4)})` : "";
  const gain = mean(gains);
  const epochs = from === "validation cases" ? ` Scores of the best epoch of each: ${[[one, a], [other, b]].map(([id, { best_epoch: best, status }]) => `${id} in epoch ${best}${status === "diverged" ? ", before it diverged" : status === "pruned" ? ", before it was pruned" : ""}`).join("; ")}.` : "";
  return titled("Case by case", element("p", {}, `${other} is better on ${better} and worse on ${worse} of ${both.length} ${from}; its mean Dice is ${gain < 0 ? "lower" : "higher"} by ${Math.abs(gain).toFixed(4)}${spread}.${epochs}`),
    element("p", { class: "reading" }, "Each point is a case: above the diagonal the second trial is better. These are single runs; other seeds would move them."), place);
}

window.addEventListener("hashchange", route);
