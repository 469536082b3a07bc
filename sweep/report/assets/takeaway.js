"use strict";
// Buttons of texts to take away: `data-copy` copies, `data-csv` saves the ranking as a file.
{
  const copied = async (text) => {
    try {
      await navigator.clipboard.writeText(text);
    } catch { // a page that is a file may not use the clipboard
      const area = element("textarea", { style: "position: fixed; opacity: 0" });
      area.value = text;
      (document.querySelector("dialog[open]") ?? document.body).append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
    }
  };

  const cell = (value) => {
    const text = value === null || value === undefined ? "" : String(value);
    return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };

  // The rows of all tables under each other, each with the cells that its table has.
  const csv = (tables) => {
    const names = [...new Set(tables.flatMap(({ columns }) => columns.map(({ name }) => name)))];
    const lines = tables.flatMap(({ trials, columns }) => {
      const own = Object.fromEntries(columns.map(({ name, values }) => [name, values]));
      return trials.map((_, row) => names.map((name) => cell(own[name]?.[row])).join(","));
    });
    return [names.map(cell).join(","), ...lines, ""].join("\n");
  };

  const saved = (text, name) => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
    link.download = name;
    link.click();
    URL.revokeObjectURL(link.href);
  };

  document.addEventListener("click", async (event) => {
    const button = event.target.closest("button[data-copy], button[data-csv]");
    if (!button) return;
    if (button.dataset.csv !== undefined) {
      saved(csv(window.sweepPage.page?.data?.tables ?? part("page").tables), `${button.dataset.csv}-ranking.csv`);
      return;
    }
    await copied(button.dataset.text ?? button.parentElement.querySelector("pre").textContent);
    button.dataset.words ??= button.textContent;
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = button.dataset.words; }, 1500);
  });
}
