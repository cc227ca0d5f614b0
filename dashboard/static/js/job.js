// A job's page while the job runs: listens to its events and fetches the pieces of the page that changed.
import { follow, summary } from "./live.js";
import "./player.js";
import { number, t } from "./words.js";

const page = document.getElementById("job");
const TILES_AT_ONCE = 100;
const FIRST_PAGE = 60;

let told = "";
let waiting = new Set();
let fetching = false;

function refresh() {
  return htmx.ajax("GET", page.dataset.summary, { target: "#summary", swap: "outerMorph" });
}

function unfinished() {
  return [...document.querySelectorAll('.tile[data-ended="no"]')].map((tile) => Number(tile.id.slice(5)));
}

function changed(ids, more = false) {
  if (page.dataset.kind === "infer") {
    page.dispatchEvent(new CustomEvent("job:items", { detail: { ids, more } }));
    return;
  }
  const here = ids.filter((id) => document.getElementById(`item-${id}`));
  for (const id of here) waiting.add(id);
  if (page.dataset.shown !== "all" && here.length < ids.length) fillFilter();
  fetchTiles();
}

async function fetchTiles() {
  if (fetching) return;
  fetching = true;
  try {
    while (waiting.size) {
      const ids = [...waiting].slice(0, TILES_AT_ONCE);
      for (const id of ids) waiting.delete(id);
      await htmx.ajax("GET", `${page.dataset.tiles}?ids=${ids.join(",")}`, { target: "#gallery", swap: "none" });
    }
  } finally {
    fetching = false;
  }
}

// What newly belongs to a narrowed gallery is shown as long as the gallery is a single page.
let filling = 0;
function fillFilter() {
  if (filling || document.querySelectorAll(".tile").length >= FIRST_PAGE) return;
  filling = setTimeout(async () => {
    await htmx.ajax("GET", `${page.dataset.tiles}?show=${page.dataset.shown}`, { target: "#gallery", swap: "innerMorph" });
    filling = 0;
  }, 1500);
}

// Said aloud at every tenth of the way and at every change of state, not every second.
function tell(job) {
  const counts = job.request_counts;
  const ended = counts.total - counts.pending - counts.leased;
  const tenth = Math.floor((10 * ended) / counts.total);
  if (`${job.state}${tenth}` === told) return;
  told = `${job.state}${tenth}`;
  const state = summary().querySelector(".chip")?.textContent ?? "";
  const said = { state, done: number(counts.done + counts.cached), total: number(counts.total), failed: number(counts.failed) };
  document.getElementById("announce").textContent = page.dataset.kind === "prepare"
    ? t("{state}: {done} of {total} steps, {failed} failed.", said)
    : t("{state}: {done} faces of {total}, {failed} without a face.", said);
}

// The reasons lie over the gallery; a click beside them, or Escape, puts them away.
function putAwayReasons() {
  document.querySelector("details.errors[open]")?.removeAttribute("open");
}
document.addEventListener("click", (event) => { if (!event.target.closest(".errors")) putAwayReasons(); });
document.addEventListener("keydown", (event) => { if (event.key === "Escape") putAwayReasons(); });

// What was changed from the gallery shows in the summary at once.
document.addEventListener("voicesketch:changed", refresh);

follow(page, {
  items: (news) => {
    const ids = news.data.map((item) => item.id);
    changed(news.more ? ids.concat(unfinished()) : ids, news.more);
  },
  marks: (news) => page.dispatchEvent(new CustomEvent("job:marks", { detail: news })),
  job: async (job) => {
    tell(job);
    await refresh();
  },
  glance: refresh,
  // After a time without news everything on the page may be old.
  back: async () => {
    await refresh();
    changed(unfinished(), true);
  },
});
