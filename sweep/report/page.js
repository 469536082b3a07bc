"use strict";
// Figures: drawn one after the other, so that the text can be read meanwhile.
const figures = JSON.parse(document.getElementById("figures").textContent);
const options = { responsive: true, displaylogo: false, displayModeBar: true, modeBarButtonsToRemove: ["select2d", "lasso2d"] };
(async () => {
  for (const place of document.querySelectorAll("[data-figure]")) {
    const { data, layout } = figures[place.dataset.figure];
    await Plotly.newPlot(place, data, layout, options);
  }
  document.body.dataset.drawn = "true";
})();

// Tables: a click on a heading sorts by it, a second one the other way round.
for (const table of document.querySelectorAll("table.sortable")) {
  const headings = [...table.tHead.rows[0].cells];
  const body = table.tBodies[0];
  headings.forEach((heading, column) => {
    const cell = body.rows[0].cells[column];
    if (cell.classList.contains("n")) heading.classList.add("n");
    heading.querySelector("button").addEventListener("click", () => {
      const falls = heading.getAttribute("aria-sort") === "ascending";
      headings.forEach((other) => other.removeAttribute("aria-sort"));
      heading.setAttribute("aria-sort", falls ? "descending" : "ascending");
      const key = (row) => row.cells[column].dataset.key;
      const numeric = [...body.rows].every((row) => !Number.isNaN(Number(key(row))));
      const order = (a, b) => (numeric ? key(a) - key(b) : key(a).localeCompare(key(b)));
      body.append(...[...body.rows].sort((a, b) => (falls ? order(b, a) : order(a, b))));
    });
  });
}
