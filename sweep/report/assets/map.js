// The map of the reader's own figure: a measured value over two settings, smoothed.

const BANDWIDTH = 0.12;  // of the kernel, as a share of an axis
const LEAST_WEIGHT = 0.5;  // trials' worth of evidence near a place, below which nothing is drawn there
const LEAST_MAPPED = 8;  // trials
const STEPS = 60;  // of the grid along an axis of numbers

/** Whether these columns are two settings and a value that was measured. */
const mayBeMap = (x, y, third) => Boolean(x?.scale && y?.scale && x.name !== y.name && third && !third.scale && third.kind === "number");

/**
 * A mean of the trials around each place, weighted by a Gaussian kernel (Nadaraya 1964); listed
 * values share nothing. Nothing is drawn outside the hull of the trials.
 */
function mapOf(x, y, third, ids) {
  const who = `${counted(ids.length, "trial")}${page.kept ? " that the filter keeps" : ""}`;
  const few = ids.length < LEAST_MAPPED;
  if (few) return { finding: `No map: it needs ${LEAST_MAPPED} trials with all three values, and there are ${who}.` };
  const values = ids.map((id) => third.of.get(id)), [across, up] = [gridOf(x, ids), gridOf(y, ids)];
  const isWithin = hullOf(across, up);
  let top = null, least = Infinity, most = -Infinity;
  const isLowBest = [COMPARABLE, page.data.objective.metric].includes(third.name) && page.data.objective.mode === "min";
  const evidence = up.marks.map(() => []), z = up.marks.map((_, row) => across.marks.map((__, column) => {
    let weight = 0, sum = 0;
    for (let n = 0; n < values.length; n += 1) {
      const near = across.near[column][n] * up.near[row][n];
      weight += near;
      sum += near * values[n];
    }
    if (weight < LEAST_WEIGHT || !isWithin(across.places[column], up.places[row])) return null;
    const found = sum / weight;
    evidence[row][column] = weight.toFixed(1);
    if (!top || (isLowBest ? found < top.value : found > top.value)) top = { value: found, weight, row, column };
    least = Math.min(least, found);
    most = Math.max(most, found);
    return found;
  }));
  if (!top) return { finding: `No map: the ${who} lie too far apart, or in one line.` };
  const isSmooth = !isWords(x) && !isWords(y), name = third.title;
  const scale = { colorscale: page.data.scale, reversescale: isLowBest };
  const colorbar = { title: { text: name, side: "right" }, thickness: 12 };
  const pruned = third.name === COMPARABLE ? 0 : ids.filter((id) => page.columns.get("status").of.get(id) === "pruned").length;
  const at = [[x, across.marks[top.column]], [y, up.marks[top.row]]].map(([{ title }, mark]) => `${title} ${typeof mark === "number" ? short(mark) : mark}`).join(", ");
  return {
    trace: {
      type: isSmooth ? "contour" : "heatmap", x: across.marks, y: up.marks, z, text: evidence, name: "map", ...scale, zmin: least, zmax: most, colorbar,
      hovertemplate: `smoothed ${name} %{z:.4~g}<br>%{text} trials' worth of evidence<extra></extra>`,
      ...(isSmooth ? { line: { width: 0.8, color: INK } } : { xgap: Number(isWords(x)), ygap: Number(isWords(y)) }),
    },
    colours: { isMap: true, of: (value) => value, marker: { ...scale, cmin: least, cmax: most } },  // a colour axis for both hangs plotly
    finding: `${who} stand behind the map, which goes from ${short(least)} to ${short(most)}. The ${isLowBest ? "lowest" : "highest"} place, at ${at}, rests on ${top.weight.toFixed(1)} trials' worth of evidence${top.weight < 1 ? ": it is a guess" : ""}.`,
    reading: `The map is a mean of the trials around each place, weighted by a Gaussian kernel of 12 % of each axis${isSmooth ? "" : "; listed values stand alone"}. It is empty outside the hull of the trials, and where less than half a trial's worth of evidence is near. It smooths over all other settings, so a peak between trials is a guess, and the ranking says what was reached.${third.about ? ` ${third.about}` : ""}${pruned ? ` ${counted(pruned, "trial")} behind it ${pruned > 1 ? "were" : "was"} pruned and ${pruned > 1 ? "count" : "counts"} with what was reached by then; the filter \`not pruned\` leaves ${pruned > 1 ? "them" : "it"} out.` : ""} The points have their own values on the same scale; beyond its ends they have the colour of the end.`,
  };
}

/**
 * The places of a map along one column.
 *
 * Returns `marks`, what plotly draws them at; `places` of the grid and `own` of the trials on the
 * axis, from 0 to 1 for numbers; and `near`, the weight of each trial at each place.
 */
function gridOf(column, ids) {
  const raw = ids.map((id) => column.of.get(id));
  if (isWords(column)) {
    const own = raw.map(wordsOf(column));
    const marks = [...new Set([...listedWords(column), ...own])];  // all of the axis: plotly fails where a row is missing
    return { isListed: true, marks, places: marks, own, near: marks.map((mark) => own.map((one) => Number(one === mark))) };
  }
  const low = raw.reduce((a, b) => Math.min(a, b)), high = raw.reduce((a, b) => Math.max(a, b));
  const [to, from] = isLog(column, low, high) ? [Math.log10, (value) => 10 ** value] : [(value) => value, (value) => value];
  const start = to(low), span = to(high) - start || 1;
  const own = raw.map((value) => (to(value) - start) / span), places = Array.from({ length: STEPS + 1 }, (_, n) => n / STEPS);
  const near = places.map((place) => own.map((one) => Math.exp(-0.5 * ((place - one) / BANDWIDTH) ** 2)));
  return { isListed: false, marks: places.map((place) => from(start + place * span)), places, own, near };
}

/** Whether a place lies in the hull of the trials: the convex one, or a stretch of numbers for each listed value. */
function hullOf(across, up) {
  if (!across.isListed && !up.isListed) return convexHull(across.own.map((one, n) => [one, up.own[n]]));
  if (across.isListed && up.isListed) return () => true;  // a place without a trial has no weight
  if (up.isListed) return ((isWithin) => (x, y) => isWithin(y, x))(hullOf(up, across));
  const ends = new Map();
  across.own.forEach((name, n) => {
    const at = up.own[n], [low, high] = ends.get(name) ?? [at, at];
    ends.set(name, [Math.min(low, at), Math.max(high, at)]);
  });
  return (x, y) => ends.get(x)[0] <= y && y <= ends.get(x)[1];
}

/** Whether a point lies in the convex hull of others; never where these lie in one line. (Andrew's monotone chain, 1979) */
function convexHull(points) {
  const turn = ([ax, ay], [bx, by], [cx, cy]) => (bx - ax) * (cy - ay) - (by - ay) * (cx - ax);
  const sorted = [...points].sort(([ax, ay], [bx, by]) => ax - bx || ay - by);
  const half = (some) => some.reduce((chain, point) => {
    while (chain.length > 1 && turn(chain.at(-2), chain.at(-1), point) <= 0) chain.pop();
    return [...chain, point];
  }, []);
  const hull = [...half(sorted).slice(0, -1), ...half(sorted.reverse()).slice(0, -1)];
  if (hull.length < 3) return () => false;
  return (x, y) => hull.every((corner, n) => turn(corner, hull[(n + 1) % hull.length], [x, y]) >= -1e-9);
}
