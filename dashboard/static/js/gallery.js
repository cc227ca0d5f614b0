// The gallery of a job: puts its parts together, and follows what happens to the job.
import { Blocks, idOf } from "./gallery_blocks.js";
import { Choice } from "./gallery_choice.js";
import { Keys } from "./gallery_keys.js";
import { GalleryWindow } from "./gallery_window.js";
import { followGallery } from "./lightbox.js";
import { isFinal, summary } from "./live.js";
import { onMark, putMark, tellMark } from "./marks.js";
import { listen } from "./news.js";
import { number, t } from "./words.js";

const list = document.getElementById("gallery");
const page = document.getElementById("job");
const where = document.getElementById("gallery-at");
const SETTLED_MS = 80;
const COUNT_AGAIN_MS = 1500;
const TELL_FROM = 1000; // tiles, from which on a number helps to find one's way

const blocks = new Blocks(list, {
  changed: (first, after) => {
    view.replace(first, after);
    keys.arrived();
  },
  counted: () => {
    view.recount();
    want();
  },
});
const choice = new Choice(list, blocks);
const view = new GalleryWindow(list, blocks, (tile, place) => {
  tile.setAttribute("aria-setsize", blocks.count);
  tile.setAttribute("aria-posinset", place + 1);
  keys.dress(tile, place);
  choice.dress(tile);
});
const keys = new Keys(list, blocks, view, (before, place, event) => {
  if (!event.shiftKey) return;
  if (!choice.ids.size) choice.anchor = before;
  choice.stretch(place);
});

// While the scrollbar is pulled, what rushes by is not asked for.
let settling = 0;
let scrolled = scrollY;
function want() {
  blocks.want(view.from, view.to);
}
addEventListener("scroll", () => {
  const isFast = Math.abs(scrollY - scrolled) > innerHeight;
  scrolled = scrollY;
  clearTimeout(settling);
  settling = setTimeout(() => {
    want();
    where.hidden = true;
  }, SETTLED_MS);
  if (!isFast) requestAnimationFrame(want);
  else if (blocks.count >= TELL_FROM) {
    where.textContent = placeInAll(view.firstSeen);
    where.hidden = false;
  }
}, { passive: true });

function placeInAll(place) {
  return t("{place} of {all}", { place: number(place + 1), all: number(blocks.count) });
}

// The job moved: items of it, or so much that nobody says what.
let counting = 0;
page.addEventListener("job:items", ({ detail }) => {
  if (!blocks.isNarrowed) return void blocks.moved(detail.ids, detail.more);
  counting ||= setTimeout(async () => {
    await blocks.moved(detail.ids, detail.more);
    counting = 0;
  }, COUNT_AGAIN_MS);
});

list.addEventListener("click", async (event) => {
  const star = event.target.closest("button.tile-star");
  if (!star) return;
  const favourite = star.getAttribute("aria-pressed") !== "true";
  star.setAttribute("aria-pressed", String(favourite));
  if (!(await putMark(list.dataset.items, idOf(star.closest(".tile")), { favourite }))) {
    star.setAttribute("aria-pressed", String(!favourite));
  }
});

const favourites = document.getElementById("favourite-count");
onMark((id, mark) => {
  const place = blocks.placeOf(id);
  const tile = place === null ? null : blocks.tile(place);
  const star = tile?.querySelector("button.tile-star");
  star?.setAttribute("aria-pressed", String(mark.favourite));
  if (tile && !star) blocks.moved([id], false); // whoever may not mark is shown marks by the server
  else if (tile && mark.note !== undefined) tile.querySelector(".tile-noted").hidden = !mark.note;
  countFavourites();
});

// Of a job that has ended nothing is told any more but what others do with it: their marks, and that they retry it.
const jobId = page.dataset.events.split("/").at(-2);
page.addEventListener("job:marks", ({ detail }) => heardMarks(detail));
function heardMarks({ data, more }) {
  for (const one of data) if (one.job === jobId) tellMark(one.item, one.mark);
  if (more) blocks.moved([], true);
}
let isListening = false;
function listenOn() {
  if (isListening || !isFinal()) return;
  isListening = true;
  listen(summary().dataset.seen, {
    marks: heardMarks,
    jobs: ({ ids, more }) => { if (more || ids.includes(jobId)) document.dispatchEvent(new CustomEvent("voicesketch:changed")); },
    back: () => blocks.moved([], true),
  });
}
document.addEventListener("htmx:after:swap", listenOn);
listenOn();

let favouritesSoon = 0;
function countFavourites() {
  favouritesSoon ||= setTimeout(async () => {
    favouritesSoon = 0;
    const answer = await fetch(`${list.dataset.items}/anchors?every=1000&favourites=true`).catch(() => null);
    if (answer?.ok) favourites.textContent = number((await answer.json()).count);
  }, 300);
}

view.start();
if (blocks.isNarrowed) blocks.countAnew();
else want();

followGallery({
  // The id of the item before or behind another in this view; nothing at its ends.
  async beside(id, by) {
    const place = blocks.placeOf(id);
    const tile = place === null ? null : blocks.tile(place + by);
    if (tile) return idOf(tile);
    const ids = await blocks.ids();
    const found = ids?.indexOf(id) ?? -1;
    return found < 0 ? null : (ids[found + by] ?? null);
  },
  // Where it is in this view, in words; nothing where that is not known yet.
  where(id) {
    const place = blocks.placeOf(id);
    return place === null ? "" : placeInAll(place);
  },
  async focus(id) {
    const place = blocks.placeOf(id) ?? (await blocks.ids())?.indexOf(id) ?? -1;
    if (place >= 0) keys.go(place);
  },
});
