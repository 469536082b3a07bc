// The reader's own figure as a program, which `--figure` draws into the page once it is changed.

const literal = (value) => (value === null || value === undefined ? "None" : JSON.stringify(value));

/** The expression of a column in a program that has `results`, and a data frame of the ranking. */
function columnInPython({ name, of }) {
  const best = (rest) => `[results[one].record.best${rest} if results[one].record.best else None for one in frame["trial_id"]]`;
  const [, group, key] = /^(terms|metrics)\/(.+)$/.exec(name) ?? [];
  if (group) return best(`.${group}.get(${literal(key)})`);
  if (name === "number") return `[results[one].record.number for one in frame["trial_id"]]`;
  if (page.data.tables.some(({ columns }) => columns.some((one) => one.name === name))) return null;  // it is in the frame
  if (name === COMPARABLE || name === "started" || name.startsWith("machine/")) return `frame["trial_id"].map({${[...of].map(([id, value]) => `${literal(id)}: ${literal(value)}`).join(", ")}})`;
  return best(`.${name}`);
}

/** The program of the reader's own figure: its points, without the map. */
function figureInPython() {
  const { x, y, third } = drawnAxes(page.data), used = [...new Set([x, y, third].filter(Boolean))], ids = page.ids.filter((id) => !page.kept || page.kept.has(id));
  const lines = used.flatMap((column) => {
    const made = columnInPython(column), at = `frame[${literal(column.name)}]`;
    return [made && `    ${at} = ${made}`, isWords(column) && `    ${at} = ${at}.astype(str)`].filter(Boolean);
  });
  const kept = page.kept ? [`    frame = frame[frame["trial_id"].isin(${literal(ids)})]  # what the filter kept`] : [];
  const log = [["x", x], ["y", y]].filter(([, column]) => scaleOf(column, idsWithAll(used)).type === "log").map(([axis]) => `, log_${axis}=True`).join("");
  const folder = page.data.trials[page.ids[0]].folder.replace(/[\\/]trials[\\/][^\\/]+$/, "");
  return `import plotly.express as px
import sweep


# --figure FILE.py:own_figure of sweep.export and sweep.serve draws it into the page.
def own_figure(results):
    """${y.title} over ${x.title}."""
    frame = results.frame
${[...lines, ...kept].map((line) => `${line}\n`).join("")}    return px.scatter(
        frame, x=${literal(x.name)}, y=${literal(y.name)}, color=${literal((third ?? { name: "status" }).name)}, symbol="status",
        hover_name="trial_id"${log}, render_mode="svg",
    )


if __name__ == "__main__":
    own_figure(sweep.open(${literal(folder)})).show()
`;
}
