// <sweep-pictures trials="t0003 t0000">: segmentations of one trial, or of two beside each other. An
// element of its own with a tree of its own: sections and the view of a trial only name it.
(() => {
  const LOOK = `
    :host { display: block; margin-top: 12px; }
    .legend { display: flex; flex-wrap: wrap; gap: 4px 18px; align-items: center; font-size: 13px; color: var(--soft); margin: 0 0 14px; }
    .legend span { display: inline-flex; align-items: center; gap: 6px; }
    .legend label { color: var(--ink); cursor: pointer; display: inline-flex; gap: 5px; align-items: center; }
    i { display: inline-block; width: 18px; height: 12px; border-radius: 2px; background: #000; position: relative; forced-color-adjust: none; print-color-adjust: exact; }
    i::after { content: ""; position: absolute; inset: 0; border-radius: 2px; }
    .reference::after { inset: 5px 2px; background: #fff; }
    .prediction::after { inset: 5px 2px; background: repeating-linear-gradient(90deg, #f0e442 0 4px, #000 4px 7px); }
    .extra::after { background: #d55e00; }
    .missed::after { background: repeating-conic-gradient(#005494 0 25%, #56b4e9 0 50%) 0 0 / 6px 6px; }
    .soft::after { background: #56b4e9; }
    .other::after { background: repeating-linear-gradient(135deg, #cc79a7 0 2px, #6b3f58 2px 4px); }
    .nan::after { background: #cc79a7; }
    .cases { display: grid; gap: 26px 20px; grid-template-columns: repeat(auto-fit, minmax(min(100%, 250px), 1fr)); align-items: start; }
    .pairs { display: grid; gap: 26px 40px; grid-template-columns: repeat(auto-fit, minmax(min(100%, 440px), 1fr)); align-items: start; }
    .pair { display: grid; gap: 6px 8px; grid-template-columns: repeat(2, minmax(0, 400px)); align-items: end; }
    .pair > header, .pair > .slide { grid-column: 1 / -1; margin: 0; }
    .pair > .stack, .pair > figcaption { margin: 0; align-self: start; }
    figure { margin: 0; min-width: 0; max-width: 420px; }
    h4, header { margin: 0; font-size: 15px; font-weight: 600; overflow-wrap: anywhere; }
    h4 small { display: block; font-weight: 400; color: var(--soft); font-size: 14px; }
    figcaption { font-size: 13px; line-height: 1.45; color: var(--soft); margin-top: 6px; font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
    figcaption b { color: var(--ink); font-weight: 600; }
    .stack { position: relative; background: #000; border-radius: 4px; overflow: hidden; margin-top: 6px; width: 100%; }
    .stack img { position: absolute; inset: 0; width: 100%; height: 100%; display: block; image-rendering: pixelated; }
    .bare .marks { visibility: hidden; }
    .slide { display: flex; align-items: center; gap: 10px; font-size: 13px; color: var(--soft); margin-top: 6px; font-variant-numeric: tabular-nums; }
    .slide input { flex: 1 1 90px; min-width: 60px; max-width: 420px; accent-color: var(--accent); }
    .slide output { white-space: nowrap; min-width: 9.5em; }
    .note { font-size: 13px; color: var(--soft); margin: 14px 0 0; max-width: 62em; overflow-wrap: anywhere; }
    @media print { .slide input, .legend label { display: none; } }`;
  const WORDS = { worst: "worst Dice", median: "median Dice", best: "best Dice", differs: "differs most", asked: "asked for" };
  const score = (value) => (value === null ? "–" : value.toFixed(4));
  let embedded = null;

  /** Address of a picture: in this file, or at the server that sent the page; null: neither. */
  function address(trial, file) {
    embedded ??= part("pictures");
    const at = embedded.places[`${trial}/${file}`];
    if (at !== undefined) return embedded.data[at];
    return document.body.dataset.live ? `trials/${trial}/pictures/${file}?weights=${page.data.trials[trial].pictures.weights}` : null;
  }

  const isThere = (trial) => ({ image, marks }) => address(trial, image) && address(trial, marks);

  /** Everything that is drawn of a trial and can be shown here, and how much cannot. */
  function shownOf(trial) {
    const drawn = page.data.trials[trial]?.pictures;
    if (!drawn) return null;
    let missing = 0;
    const kept = (pictures) => {
      const there = pictures.filter(isThere(trial));
      missing += pictures.length - there.length;
      return there;
    };
    const cases = drawn.cases
      .map((one) => ({ ...one, planes: one.planes.map((plane) => ({ ...plane, pictures: kept(plane.pictures) })).filter(({ pictures }) => pictures.length) }))
      .filter(({ planes }) => planes.length);
    const samples = drawn.batch ? drawn.batch.samples.filter(({ picture }) => kept([picture]).length) : [];
    return { ...drawn, trial, cases, samples, missing };
  }

  /** Image and marks of one picture, which `show` can replace. */
  function stack(trial) {
    const image = element("img", { decoding: "async" }), marks = element("img", { class: "marks", alt: "", decoding: "async" });
    const place = element("div", { class: "stack" }, image, marks);
    return {
      place,
      show(picture, alt) {
        place.style.aspectRatio = picture.size.join(" / ");
        image.src = address(trial, picture.image);
        marks.src = address(trial, picture.marks);
        image.alt = alt;
      },
    };
  }

  const first = (pictures) => pictures.reduce((best, one) => (one.priority < best.priority ? one : best));
  const where = (plane, { position }) => (plane.slices === 1 ? "" : `${plane.name} slice ${position + 1} of ${plane.slices}`);
  const wrongWords = ({ wrong }) => (wrong === 1 ? "1 pixel is wrong" : `${wrong} pixels are wrong`);

  function scores(one) {
    const names = Object.keys(one.classes);
    const each = names.length < 2 ? null : names.map((name) => `${name} ${score(one.classes[name].dice ?? null)}`).join(" · ");
    return [element("b", {}, `Dice ${score(one.dice)} · NSD ${score(one.nsd)}`), each ? element("div", {}, `Dice of each class: ${each}`) : null];
  }

  /** A slider over the slices of a plane; without others there is none. */
  function slider(plane, pictures, label, show) {
    const place = element("output", {});
    const at = pictures.indexOf(first(pictures));
    const range = element("input", { type: "range", min: 0, max: pictures.length - 1, step: 1, value: at, "aria-label": label });
    const move = () => {
      const picture = pictures[range.value];
      place.textContent = where(plane, picture);
      range.setAttribute("aria-valuetext", `${where(plane, picture)}, ${wrongWords(picture)}`);
      show(picture);
    };
    range.addEventListener("input", move);
    range.addEventListener("keydown", (event) => event.stopPropagation());  // the view of a trial has keys of its own
    move();
    if (plane.slices === 1) return null;
    return element("div", { class: "slide" }, place, pictures.length > 1 ? range : null);
  }

  function altOf(one, plane, picture) {
    return [`${one.case}: Dice ${score(one.dice)}, NSD ${score(one.nsd)}`, where(plane, picture), wrongWords(picture)].filter(Boolean).join("; ");
  }

  /** A case of one trial: one picture, or three planes with a slider each. */
  function card({ trial, compared_with: other }, one) {
    const reasons = one.reasons.map((reason) => WORDS[reason] + (reason === "differs" ? ` from ${other}` : "")).join(", ");
    return element("figure", {},
      element("h4", {}, one.case, " ", element("small", {}, reasons)),
      ...one.planes.flatMap((plane) => {
        const shown = stack(trial);
        return [shown.place, slider(plane, plane.pictures, `${one.case}, ${plane.name} slices`, (picture) => shown.show(picture, altOf(one, plane, picture)))];
      }).filter(Boolean),
      element("figcaption", {}, ...scores(one).filter(Boolean)));
  }

  /** A case of two trials beside each other, plane by plane; one slider moves both. */
  function pair(trials, both) {
    const parts = both[0].planes.flatMap((plane) => {
      const other = both[1].planes.find(({ axis }) => axis === plane.axis);
      const at = other && new Map(other.pictures.map((picture) => [picture.position, picture]));
      const common = plane.pictures.filter(({ position }) => at?.has(position));
      if (!common.length) return [];
      const stacks = trials.map(({ trial }) => stack(trial));
      const slide = slider(plane, common, `${both[0].case}, ${plane.name} slices of both trials`, (picture) => {
        stacks[0].show(picture, `${trials[0].trial}, ${altOf(both[0], plane, picture)}`);
        const same = at.get(picture.position);
        stacks[1].show(same, `${trials[1].trial}, ${altOf(both[1], other, same)}`);
      });
      return [...stacks.map(({ place }) => place), slide];
    }).filter(Boolean);
    if (!parts.length) return null;
    const captions = both.map((one, n) => element("figcaption", {}, element("b", {}, trials[n].trial), " ", ...scores(one).filter(Boolean)));
    return element("section", { class: "pair" }, element("header", {}, both[0].case), ...parts, ...captions);
  }

  function batch({ trial, samples }) {
    return samples.map(({ case: name, label, soft_area: area, picture }) => {
      const words = area === null ? "its soft mask is not finite" : `soft area ${Math.round(area)} px`;
      const shown = stack(trial);
      shown.show(picture, `${name} before the diverging step: ${label}, ${words}`);
      return element("figure", {}, element("h4", {}, name, " ", element("small", {}, label)), shown.place, element("figcaption", {}, words));
    });
  }

  function legend(root, keys) {
    const toggle = element("input", { type: "checkbox", checked: true });
    toggle.addEventListener("change", () => root.classList.toggle("bare", !toggle.checked));
    const entries = keys.map(([kind, words]) => element("span", {}, element("i", { class: kind }), words));
    return element("div", { class: "legend" }, ...entries, element("label", {}, toggle, "show marks"));
  }

  const CASES = [["reference", "reference"], ["prediction", "prediction"], ["extra", "false positive"], ["missed", "false negative"]];
  const OTHER = ["other", "another class"];
  const BATCH = [["reference", "reference"], ["soft", "soft mask before the step"], ["prediction", "soft mask at 0.5"], ["nan", "not a number"]];

  function note({ trial, window: grey, channel, tolerance, missing, left_out: left }) {
    const sentences = [`Channel ${channel}; ${grey}.`];
    if (tolerance) sentences.push(`NSD has a tolerance of ${tolerance}.`);
    if (missing) sentences.push(`${missing} more pictures of ${trial} are not in this file; they lie in trials/${trial}/pictures.`);
    if (left) sentences.push(`${left} pictures of ${trial} did not fit the space of the setting pictures.megabytes.`);
    return element("p", { class: "note" }, sentences.join(" "));
  }

  /** The cases that two trials show, the largest difference first; of a pair that was drawn to be
   *  compared only those that were chosen for it. */
  function common(one, other) {
    const pairs = one.cases.map((left) => [left, other.cases.find((right) => right.case === left.case)]).filter(([, right]) => right);
    const chosen = one.compared_with === other.trial ? pairs.filter(([left]) => left.reasons.includes("differs")) : pairs;
    const apart = ([left, right]) => Math.abs(left.dice - right.dice);
    return chosen.sort((a, b) => apart(b) - apart(a));
  }

  class SweepPictures extends HTMLElement {
    connectedCallback() {
      if (!this.shadowRoot) this.attachShadow({ mode: "open" });
      this.refresh();
    }

    /** Draws what it has not drawn yet: a trial's pictures may be drawn again while the page is open. */
    refresh() {
      const trials = this.getAttribute("trials").split(" ");
      const text = JSON.stringify(trials.map((trial) => page.data.trials[trial]?.pictures));
      if (this.text === text) return;
      this.text = text;
      const root = element("div", {});
      this.shadowRoot.replaceChildren(element("style", {}, LOOK), root);
      const shown = trials.map(shownOf);
      if (shown.some((one) => one === null)) return;
      const [one, other] = shown, keys = shown.some(({ cases }) => cases.some(({ classes }) => Object.keys(classes).length > 1)) ? [...CASES, OTHER] : CASES;
      if (other) {
        root.append(legend(root, keys), element("div", { class: "pairs" }, ...common(one, other).map((both) => pair(shown, both))), note(one));
      } else {
        if (one.samples.length) root.append(legend(root, BATCH), element("div", { class: "cases" }, ...batch(one)));
        if (one.cases.length) root.append(legend(root, keys), element("div", { class: "cases" }, ...one.cases.map((each) => card(one, each))));
        root.append(note(one));
      }
    }
  }
  // After the last script of the page, when it has its data.
  queueMicrotask(() => customElements.define("sweep-pictures", SweepPictures));

  const drawnPart = (...ids) => titled("Segmentations", element("sweep-pictures", { trials: ids.join(" ") }));

  /** The part of a trial's view. */
  const picturesOf = (id, { pictures }) => (pictures ? drawnPart(id) : null);

  /** The part of a comparison, where both show a case. */
  function picturesOfBoth([one], [other], ...more) {
    if (more.length) return null;
    const both = [one, other].map(shownOf);
    return both.every(Boolean) && common(...both).length ? drawnPart(one, other) : null;
  }
  trialParts.splice(trialParts.indexOf(curvesOf), 0, picturesOf);
  compareParts.push(picturesOfBoth);
})();
