"use strict";
// The live page: asks its server for newer data while somebody looks, and says what it knows.
// A request with the tag of what is shown is answered in no time where nothing is new. Nothing is
// kept open in between: browsers allow few connections to one server, and people have many tabs.
(() => {
  const SECONDS = 2, MOST_SECONDS = 16, LONGEST = 60;  // seconds: between requests, and of one
  let { etag, running, home } = JSON.parse(document.body.dataset.live);
  let seen = new Date(), seconds = SECONDS, asking = false, timer;

  const place = document.createElement("p");
  place.className = "live";
  place.setAttribute("role", "status");
  document.querySelector("header .state").after(place);
  if (home) {
    const link = Object.assign(document.createElement("a"), { href: home, textContent: "All sweeps" });
    document.querySelector("header .kind").replaceChildren(link);
  }

  function say(kind, words) {
    if (place.dataset.kind === kind && place.textContent === words) return;
    place.dataset.kind = kind;
    place.textContent = words;
  }
  const time = () => seen.toLocaleTimeString();

  async function look() {
    let answer, data;
    try {
      answer = await fetch("data", { headers: { "if-none-match": etag }, cache: "no-store", signal: AbortSignal.timeout(1000 * LONGEST) });
      data = answer.headers.get("content-type") === "application/json" ? await answer.json() : null;
    } catch {
      seconds = Math.min(2 * seconds, MOST_SECONDS);
      return say("lost", `The server does not answer. What you see is from ${time()}.`);
    }
    seconds = SECONDS;
    if (answer.status === 403) return say("lost", "The server was started again: open the address that it printed.");
    if (answer.status === 304 || answer.ok) seen = new Date();
    else return say("lost", `${data?.problem ?? "The server failed"}. What you see is from ${time()}.`);
    if (data) {
      etag = answer.headers.get("etag");
      running = data.running;
      await sweepPage.update(data);
    }
    return say("live", running ? "Live: this page follows the sweep." : "Up to date. No session runs.");
  }

  async function ask() {
    clearTimeout(timer);
    if (asking || document.hidden) return;
    asking = true;
    try { await look(); } finally { asking = false; timer = setTimeout(ask, 1000 * seconds); }
  }
  document.addEventListener("visibilitychange", ask);
  ask();
})();
