"use strict";
// Steering a sweep from its live page. Every question is a dialog that says what will happen; the
// server answers in words, which the dialog shows.
(() => {
  const { key, most } = JSON.parse(document.body.dataset.live);
  const button = (words, click) => element("button", { type: "button", click }, words);

  async function ask(address, body) {
    const isFile = body instanceof File;
    try {
      const answer = await fetch(address, {
        method: "POST",
        headers: { "content-type": isFile ? "application/octet-stream" : "application/json", "x-sweep-key": key },
        body: isFile ? body : JSON.stringify(body),
      });
      const isJson = answer.headers.get("content-type")?.startsWith("application/json");
      return isJson ? await answer.json() : { mistakes: [await answer.text()] };
    } catch {
      return { mistakes: ["The server does not answer: whether it was asked is not known."] };
    }
  }

  // A question: what will happen, fields to fill in, and a button that does it.
  function question({ title, words, fields = [], does, kind, body, address = () => `ask/${kind}` }) {
    const answer = element("output", {});
    const act = element("button", { type: "submit", class: "act" }, does);
    const cancel = button("Cancel", () => dialog.close());
    const form = element("form", { method: "dialog" },
      element("h2", { id: "question" }, title), element("p", {}, words), ...fields, answer,
      element("p", { class: "buttons" }, cancel, act));
    const dialog = element("dialog", { class: "question", "aria-labelledby": "question" }, form);
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      if (!form.reportValidity()) return;
      act.disabled = true;
      answer.className = "";
      answer.replaceChildren(element("p", {}, "Waiting for the answer…"));  // a store may be silent for a while
      const { words: done, warnings = [], mistakes = [] } = await ask(address(form), body(form));
      answer.className = done ? "done" : "wrong";
      answer.replaceChildren(...[done, ...warnings, ...mistakes].filter(Boolean).map((one) => element("p", {}, one)));
      act.disabled = false;
      if (!done) return;
      act.remove();
      for (const field of form.querySelectorAll("input, textarea")) field.disabled = true;
      cancel.textContent = "Close";
      cancel.focus();
    });
    dialog.addEventListener("close", () => dialog.remove());
    document.body.append(dialog);
    dialog.showModal();
  }

  const stop = (trial) => question({
    title: `Stop ${trial}?`,
    words: "It ends as pruned at its next report. The sweep goes on with other trials.",
    does: `Stop ${trial}`, kind: "stop", body: () => ({ trial }),
  });

  const note = (trial) => question({
    title: `Note on ${trial ?? "the sweep"}`,
    words: trial ? "The report and `sweep.rank --notes` show it." : "It stands at the top of the report, with the time and the name of who started this server. It is Markdown: [t0003](#trial/t0003) is a link. It cannot be changed later.",
    fields: [element("textarea", { name: "text", rows: trial ? 4 : 10, maxlength: trial ? 2000 : 20000, required: true, "aria-label": "Note" })],
    does: "Write it", kind: "note", body: (form) => ({ trial, text: form.elements.text.value }),
  });

  function addFile(trial) {
    const check = () => field.setCustomValidity(field.files[0]?.size > most ? `It may have at most ${most / 2 ** 20} MiB.` : "");
    const field = element("input", { type: "file", name: "file", required: true, "aria-label": "File", change: check }), chosen = () => field.files[0];
    question({
      title: `Add a file to ${trial}`,
      words: `It is kept beside the other files of the trial and noted on it. No file is replaced. It may have up to ${most / 2 ** 20} MiB.`,
      fields: [field], does: "Add it", body: chosen, address: () => `trials/${trial}/files/${encodeURIComponent(chosen().name)}`,
    });
  }

  async function enqueue(trial) {
    const from = trial ? `?trial=${encodeURIComponent(trial)}` : "";
    let parameters;
    try {
      parameters = await (await fetch(`configuration${from}`)).json();
    } catch {
      parameters = [];  // asking then says why
    }
    const fields = parameters.map(({ name, space, value }) => element("label", {},
      element("span", {}, name), element("input", { name, value, spellcheck: "false", autocomplete: "off" }), element("small", {}, space)));
    question({
      title: trial ? `Train a configuration like ${trial}` : "Train a configuration",
      words: "It is the next trial that starts, one more than the sweep was asked for. The searcher draws what you leave empty.",
      fields, does: "Enqueue it", kind: "enqueue",
      body: (form) => ({ values: Object.fromEntries(parameters
        .map(({ name }) => [name, form.elements[name].value.trim()]).filter(([, value]) => value)) }),
    });
  }

  sweepPage.trialParts.unshift((id, { status, replicate }) => element("p", { class: "steering" },
    status === "running" && !replicate ? button("Stop it…", () => stop(id)) : null,
    replicate ? null : button("Train one like it…", () => enqueue(id)),
    button("Write a note…", () => note(id)), button("Add a file…", () => addFile(id))));
  window.dispatchEvent(new HashChangeEvent("hashchange"));  // a view that the address has opened
  document.querySelector("header .live").after(element("p", { class: "steering" },
    button("Train a configuration…", () => enqueue(null)), button("Write a note on the sweep…", () => note(null))));
})();
