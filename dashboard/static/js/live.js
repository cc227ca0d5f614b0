// Listens to the events of a job while its page is looked at, and catches up after a time without them.

import { answered } from "./session.js";

const GLANCE = 30000;

// `page` has data-events; `#summary` in it says with data-seen up to where the page knows, and with data-final whether
// anything can still come. `on` has a function for each event that is wanted, and `back`, called after a silence; in a
// tab that nobody looks at, `glance` is called now and then, so that its title tells how far the job is.
export function follow(page, on) {
  let source = null;
  let seen = summary().dataset.seen;

  function listen() {
    if (source || document.hidden || isFinal()) return;
    source = new EventSource(`${page.dataset.events}?since=${seen}`);
    for (const name of ["items", "job", "training", "marks"]) {
      if (!on[name]) continue;
      source.addEventListener(name, async (event) => {
        if (event.lastEventId) seen = event.lastEventId;
        await on[name](JSON.parse(event.data));
        if (name === "job" && isFinal()) hush();
      });
    }
    source.addEventListener("open", () => answered(200));
    source.addEventListener("error", () => {
      answered(0);
      // The browser tries again by itself unless it was refused outright.
      if (source?.readyState === EventSource.CLOSED) {
        hush();
        setTimeout(catchUp, 5000);
      }
    });
  }

  function hush() {
    source?.close();
    source = null;
  }

  async function catchUp() {
    if (document.hidden) return;
    await on.back();
    listen();
  }

  let glancing = 0;
  document.addEventListener("visibilitychange", () => {
    clearInterval(glancing);
    // A hidden tab gives its connection back: browsers allow only a few to one place.
    if (document.hidden) {
      hush();
      glancing = setInterval(() => (isFinal() ? clearInterval(glancing) : on.glance()), GLANCE);
    } else catchUp();
  });
  document.addEventListener("htmx:after:swap", () => {
    document.title = summary().dataset.title;
    if (!isFinal()) listen();
  });
  listen();
}

export function summary() {
  return document.getElementById("summary");
}

export function isFinal() {
  return summary().dataset.final === "yes";
}
