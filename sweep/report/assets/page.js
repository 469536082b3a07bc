// The start of the page, and `sweepPage.update`, which takes newer data of the same sweep.

function drawSections({ sections, state, written, name }) {
  document.getElementById("state").textContent = state;
  document.getElementById("written").textContent = written;
  document.title = `${name}: sweep report`;
  const main = document.querySelector("main");
  let before = null;
  for (const { name: anchor, title, html } of sections) {
    let section = document.getElementById(anchor);
    if (!section) {
      section = element("section", { id: anchor }, element("h2", {}, title), element("div", { class: "body" }));
      main.insertBefore(section, before ? before.nextSibling : main.firstChild);
    }
    before = section;
    if (anchor === "ranking" || anchor === "figures" || section.dataset.html === html) continue;
    const body = section.querySelector(".body");
    if (section.dataset.html !== undefined || !body.childNodes.length) {
      const opened = [...body.querySelectorAll("details")].map(({ open }) => open);
      body.innerHTML = html;
      body.querySelectorAll("details").forEach((one, n) => { one.open = opened[n] ?? one.open; });
    }
    section.dataset.html = html;
  }
  const names = new Set(sections.map(({ name: anchor }) => anchor));
  for (const section of [...main.children]) if (!names.has(section.id)) section.remove();
}

function drawContents(data) {
  const links = data.sections.filter(({ name }) => name !== "summary").flatMap(({ name, title }) => (name === "figures"
    ? figuresOf(data).filter(({ figure }) => figure).map((one) => [one.name, one.title]) : [[name, title]]));
  refill(document.querySelector("header nav"), ...links.map(([name, title]) => element("a", { href: `#${name}` }, title)));
}

/** Draws newer data. What the reader has opened, sorted, filtered, selected and zoomed stays. */
function update(data) {
  setData(data);
  drawSections(data);
  for (const pictures of document.querySelectorAll("sweep-pictures")) pictures.refresh?.();
  drawContents(data);
  drawControls();
  updateControls(data);
  drawTables(data);
  tellSelection();
  drawGroups();
  drawUnfinished(data);
  drawFigures(figuresOf(data));
  drawAxisChoices(data);
  refreshView();
}

document.addEventListener("keydown", (event) => {
  const isTyping = event.target.closest?.("input[type=search], select, textarea, dialog");
  if (event.key === "Escape" && !document.querySelector("dialog[open]")) clear();
  if (isTyping || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "/") { event.preventDefault(); controls.filter.focus(); }
  if (event.key === "c") compareSelected();
});

window.sweepPage = { update, drawAll, page, trialParts, compareParts };
{
  const first = part("page");
  lazily(first, "trials", () => part("trials"));
  lazily(first, "figures", () => part("figures"));
  update(first);
  readAddress();
  route();
  document.body.dataset.ready = "true";
}
