// Choosing faces in a gallery: by their boxes, in stretches with Shift, or all that the view shows; and the bar that
// says what can be done with them.
import { toast } from "./base.js";
import { idOf } from "./gallery_blocks.js";
import { put, shareMark } from "./marks.js";
import { number, t, tn } from "./words.js";

const MOST_AT_ONCE = 10_000; // of what the API takes in one piece

export class Choice {
  constructor(list, blocks) {
    this.list = list;
    this.blocks = blocks;
    this.ids = new Set();
    this.anchor = 0; // where a stretch begins
    this.job = list.dataset.items.replace(/\/items$/, "");
    this.bar = document.getElementById("chosen");
    list.classList.add("can-choose");
    list.addEventListener("click", (event) => this.#clicked(event));
    document.getElementById("choose-all").addEventListener("click", () => this.chooseAll());
    document.getElementById("choose-none").addEventListener("click", () => this.clear());
    document.getElementById("star-chosen")?.addEventListener("click", () => this.#star());
    document.getElementById("retry-chosen")?.addEventListener("click", () => this.#retry());
    document.getElementById("rerun-chosen")?.addEventListener("click", () => this.#rerun());
    for (const form of this.bar.querySelectorAll("form.take")) {
      form.addEventListener("submit", () => { form.elements.chosen.value = ranges(this.ids); });
    }
    document.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && !event.defaultPrevented && this.ids.size && !document.querySelector("dialog[open]")) this.clear();
    });
  }

  dress(tile) {
    const box = tile.querySelector(".tile-choose");
    if (!box) return;
    box.checked = this.ids.has(idOf(tile));
    tile.classList.toggle("tile-chosen", box.checked);
  }

  // From the place where the last choice was made to this one.
  async stretch(place, isChosen = true) {
    const [first, last] = [Math.min(this.anchor, place), Math.max(this.anchor, place)];
    const ids = [];
    for (let one = first; one <= last; one += 1) {
      const tile = this.blocks.tile(one);
      if (!tile) break;
      ids.push(idOf(tile));
    }
    const all = ids.length === last - first + 1 ? ids : (await this.blocks.ids())?.slice(first, last + 1);
    if (!all) return toast(t("The service does not answer. Try again."));
    for (const id of all) isChosen ? this.ids.add(id) : this.ids.delete(id);
    this.#paint();
  }

  async chooseAll() {
    const all = await this.blocks.ids();
    if (!all) return toast(t("The service does not answer. Try again."));
    for (const id of all) this.ids.add(id);
    this.#paint();
  }

  clear() {
    const held = this.bar.contains(document.activeElement);
    this.ids.clear();
    this.#paint();
    if (held) this.list.querySelector('.tile-open[tabindex="0"]')?.focus({ preventScroll: true });
  }

  #clicked(event) {
    const tile = event.target.closest(".tile");
    const box = tile?.querySelector(".tile-choose");
    if (!box) return;
    const place = this.blocks.placeOf(idOf(tile));
    const isLinkInChoice = event.shiftKey && this.ids.size && event.target.closest(".tile-open");
    if (isLinkInChoice) {
      event.preventDefault(); // instead of a window of its own
      this.stretch(place);
    } else if (event.target === box) {
      if (event.shiftKey && this.ids.size) {
        this.stretch(place, box.checked);
      } else {
        box.checked ? this.ids.add(idOf(tile)) : this.ids.delete(idOf(tile));
        this.#paint();
      }
    } else return;
    this.anchor = place;
  }

  #paint() {
    for (const tile of this.list.querySelectorAll(":scope > .tile")) this.dress(tile);
    const count = this.ids.size;
    this.bar.hidden = !count;
    document.documentElement.classList.toggle("has-choice", count > 0);
    document.getElementById("chosen-count").textContent = count ? tn("{count} chosen", "{count} chosen", count) : "";
    document.getElementById("choose-all").hidden = count >= this.blocks.count;
    document.getElementById("choose-all").textContent = tn("All {count} in this view", "All {count} in this view", this.blocks.count);
  }

  // All of them get a star; where all have one, they lose it.
  async #star() {
    const tiles = [...this.list.querySelectorAll(".tile-chosen button.tile-star")];
    const favourite = !tiles.length || tiles.some((star) => star.getAttribute("aria-pressed") !== "true");
    const ids = [...this.ids];
    for (let first = 0; first < ids.length; first += MOST_AT_ONCE) {
      const some = ids.slice(first, first + MOST_AT_ONCE);
      if (!(await put(`${this.job}/marks`, { items: some, favourite }))) return;
      shareMark(some, { favourite });
    }
    toast(favourite
      ? tn("{count} marked as a favourite.", "{count} marked as favourites.", ids.length)
      : tn("{count} is no favourite any more.", "{count} are no favourites any more.", ids.length));
  }

  #isTooMany() {
    if (this.ids.size <= MOST_AT_ONCE) return false;
    toast(t("This takes at most {most} at once. For a whole job there are buttons above.", { most: number(MOST_AT_ONCE) }));
    return true;
  }

  async #rerun() {
    if (this.#isTooMany()) return;
    const model = document.getElementById("rerun-chosen-model").value;
    const made = await put(`${this.job}/rerun`, { model, which: "all", items: [...this.ids] }, "POST");
    if (made?.job) location.href = `/jobs/${made.job}`;
  }

  async #retry() {
    if (this.#isTooMany()) return;
    const answer = await put(`${this.job}/retry`, { which: "unfinished", items: [...this.ids] }, "POST");
    if (!answer) return;
    toast(tn("{count} waits again.", "{count} wait again.", answer.retried));
    this.clear();
    document.dispatchEvent(new CustomEvent("voicesketch:changed"));
  }
}

// Ids as a form takes them: numbers and ranges, such as 4,9-30.
export function ranges(ids) {
  const sorted = [...ids].sort((a, b) => a - b);
  const parts = [];
  for (let start = 0, end; start < sorted.length; start = end + 1) {
    for (end = start; sorted[end + 1] === sorted[end] + 1; ) end += 1;
    parts.push(end === start ? `${sorted[start]}` : `${sorted[start]}-${sorted[end]}`);
  }
  return parts.join(",");
}
