// Listens to what happens in the whole place while a page is looked at; after a silence the page catches up.

import { answered } from "./session.js";

// `on` has a function for each event that is wanted (`jobs`, `workers`, `schedules`, `marks`), and `back`, called after a silence.
export function listen(since, on) {
  let source = null;
  let seen = since;

  function open() {
    if (source || document.hidden) return;
    source = new EventSource(`/api/v1/events?since=${seen}`);
    source.addEventListener("jobs", (event) => {
      seen = event.lastEventId;
      on.jobs?.(JSON.parse(event.data));
    });
    for (const name of ["workers", "schedules", "marks"]) source.addEventListener(name, (event) => on[name]?.(JSON.parse(event.data)));
    source.addEventListener("open", () => answered(200));
    source.addEventListener("error", () => {
      answered(0);
      // The browser tries again by itself unless it was refused outright.
      if (source?.readyState === EventSource.CLOSED) {
        close();
        setTimeout(back, 5000);
      }
    });
  }

  function close() {
    source?.close();
    source = null;
  }

  function back() {
    if (document.hidden) return;
    on.back();
    open();
  }

  document.addEventListener("visibilitychange", () => {
    // A hidden tab gives its connection back: browsers allow only a few to one place.
    if (document.hidden) close();
    else back();
  });
  open();
}
