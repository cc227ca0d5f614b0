// Which tiles of a gallery are on the page: of a hundred thousand only those in view, and a screen above and below them.
// The list keeps its whole height by padding, so that the browser's own scrollbar goes anywhere at once, and nothing
// moves when tiles come and go.

import { t } from "./words.js";

const KEEP_ALL = 180; // so few stay on the page all the time, where the browser's own search finds them
const FRAME_SPARE = 12;

export class GalleryWindow {
  // `dress(tile, place)` is called with every tile before it comes on the page.
  constructor(list, blocks, dress) {
    this.list = list;
    this.blocks = blocks;
    this.dress = dress;
    this.columns = 1;
    this.pitch = 0; // from the top of a row to that of the next
    this.height = 0; // of a row, in whole pixels: parts of pixels would add up
    this.from = this.to = 0; // places of the tiles that are on the page
    this.isAsked = false;
  }

  // Takes over the tiles that came with the page.
  start() {
    this.list.querySelector(":scope > .more")?.remove();
    this.from = 0;
    this.to = this.list.querySelectorAll(":scope > .tile").length;
    [...this.list.querySelectorAll(":scope > .tile")].forEach((tile, place) => this.dress(tile, place));
    this.measure();
    this.show();
    addEventListener("scroll", () => this.ask(), { passive: true });
    let width = this.list.clientWidth;
    new ResizeObserver(() => {
      if (this.list.clientWidth === width) return;
      width = this.list.clientWidth;
      this.#resized();
    }).observe(this.list);
  }

  measure() {
    const probe = blank();
    this.list.style.gridAutoRows = "";
    this.list.append(probe);
    const style = getComputedStyle(this.list);
    this.columns = style.gridTemplateColumns.split(" ").length;
    this.height = Math.round(probe.getBoundingClientRect().height);
    this.pitch = this.height + parseFloat(style.rowGap);
    probe.remove();
    this.list.style.gridAutoRows = `${this.height}px`;
  }

  // Once a frame at most.
  ask() {
    if (this.isAsked) return;
    this.isAsked = true;
    requestAnimationFrame(() => {
      this.isAsked = false;
      this.show();
    });
  }

  show() {
    const [first, after] = this.#wished();
    if (first === this.from && after === this.to) {
      this.#pad();
      return;
    }
    if (first >= this.to || after <= this.from) {
      // Nothing stays. The focus has somewhere to be before what has it goes.
      this.#drop([...this.list.children]);
      this.from = this.to = first;
    }
    this.#drop([...this.list.children].slice(0, Math.max(0, first - this.from)));
    this.from = Math.max(this.from, first);
    this.#drop([...this.list.children].slice(after - this.from));
    this.to = Math.min(this.to, after);
    this.list.prepend(...this.#tiles(first, this.from));
    this.list.append(...this.#tiles(this.to, after));
    [this.from, this.to] = [first, after];
    this.#pad();
    this.list.dispatchEvent(new CustomEvent("gallery:shown", { bubbles: true }));
  }

  // There are new tiles at these places. A tile that was at another place before comes along.
  replace(first, after) {
    if (first >= this.to || after <= this.from) return;
    const before = [...this.list.querySelectorAll(":scope > .tile")];
    const held = before.find((tile) => tile.contains(document.activeElement));
    const control = held && document.activeElement.classList[0];
    const wanted = [];
    for (let place = this.from; place < this.to; place += 1) wanted.push(this.blocks.tile(place));
    const taken = new Set(wanted);
    wanted.forEach((tile, along) => {
      const old = before[along];
      if (tile && tile === old) return;
      const next = tile ?? (old && !taken.has(old) ? old : blank());
      wanted[along] = next;
      if (next === old) return;
      unpark(next);
      this.dress(next, this.from + along);
      if (!before.includes(next)) next.classList.add("tile-new"); // appears softly, where one that comes back does not
    });
    const stays = new Set(wanted);
    this.#drop(before.filter((tile) => !stays.has(tile)));
    wanted.forEach((tile, along) => {
      if (this.list.children[along] !== tile) this.list.insertBefore(tile, this.list.children[along] ?? null);
    });
    // The keyboard stays with the item, or else with its place.
    if (held && !held.contains(document.activeElement)) {
      const tile = document.getElementById(held.id) ?? this.list.children[Math.min(before.indexOf(held), wanted.length - 1)];
      (tile?.querySelector(`.${control}`) ?? tile?.querySelector(".tile-open") ?? this.list).focus({ preventScroll: true });
    }
    this.list.dispatchEvent(new CustomEvent("gallery:shown", { bubbles: true }));
  }

  // There are more or fewer tiles than before.
  recount() {
    const isEmpty = this.list.querySelector(":scope > .nothing");
    if (this.blocks.count) isEmpty?.remove();
    const tiles = [...this.list.querySelectorAll(":scope > .tile")];
    this.#drop(tiles.slice(Math.max(0, this.blocks.count - this.from)));
    this.to = Math.min(this.to, Math.max(this.from, this.blocks.count));
    if (this.from >= this.to) this.from = this.to = 0;
    for (const tile of this.list.children) tile.setAttribute("aria-setsize", this.blocks.count);
    this.show();
    if (!this.blocks.count && !isEmpty) this.list.append(nothing());
  }

  // Scrolls as little as is needed for the tile to be seen whole.
  reveal(place, { below = 0 } = {}) {
    const top = this.list.getBoundingClientRect().top + Math.floor(place / this.columns) * this.pitch;
    const over = top + this.height - (innerHeight - below - FRAME_SPARE);
    if (top < FRAME_SPARE) scrollBy({ top: top - FRAME_SPARE, behavior: "instant" });
    else if (over > 0) scrollBy({ top: over, behavior: "instant" });
    this.show();
  }

  // The first place that is in view.
  get firstSeen() {
    const above = -this.list.getBoundingClientRect().top;
    return Math.min(Math.max(0, this.blocks.count - 1), Math.max(0, Math.floor(above / this.pitch)) * this.columns);
  }

  get rowsSeen() {
    return Math.max(1, Math.floor(innerHeight / this.pitch));
  }

  #wished() {
    const count = this.blocks.count;
    if (count <= KEEP_ALL) return [0, count];
    const top = -this.list.getBoundingClientRect().top;
    const rows = Math.ceil(count / this.columns);
    const spare = Math.ceil(innerHeight / this.pitch);
    const first = Math.min(rows - 1, Math.max(0, Math.floor(top / this.pitch) - spare));
    const after = Math.min(rows, Math.max(first + 1, Math.ceil((top + innerHeight) / this.pitch) + spare));
    return [first * this.columns, Math.min(count, after * this.columns)];
  }

  #tiles(first, after) {
    const tiles = [];
    for (let place = first; place < after; place += 1) {
      const tile = this.blocks.tile(place) ?? blank();
      unpark(tile);
      this.dress(tile, place);
      tiles.push(tile);
    }
    return tiles;
  }

  #drop(tiles) {
    if (tiles.some((tile) => tile.contains(document.activeElement))) this.list.focus({ preventScroll: true });
    for (const tile of tiles) {
      tile.remove();
      tile.classList.remove("tile-new");
      park(tile);
    }
  }

  #pad() {
    const rows = Math.ceil(this.blocks.count / this.columns);
    const above = (this.from / this.columns) * this.pitch;
    const below = (rows - Math.ceil(this.to / this.columns)) * this.pitch;
    if (this.list.style.paddingTop !== `${above}px`) this.list.style.paddingTop = `${above}px`;
    if (this.list.style.paddingBottom !== `${below}px`) this.list.style.paddingBottom = `${below}px`;
  }

  // What was at the top of the window stays there.
  #resized() {
    const place = this.firstSeen;
    const scrolled = this.list.getBoundingClientRect().top < 0;
    this.measure();
    if (!this.blocks.count) return;
    this.#drop([...this.list.children]);
    this.from = this.to = 0;
    this.show();
    if (scrolled) {
      const top = this.list.getBoundingClientRect().top + Math.floor(place / this.columns) * this.pitch;
      scrollBy({ top, behavior: "instant" });
      this.show();
    }
  }
}

function blank() {
  const made = document.createElement("li");
  made.className = "tile tile-blank";
  made.innerHTML = '<div class="tile-face"></div><div class="tile-sound"></div><p class="tile-name">\u00a0</p><p class="tile-state">\u00a0</p>';
  return made;
}

// Pictures that did not come before their tile went are not waited for: those in view come first.
function park(tile) {
  for (const picture of tile.querySelectorAll("img[src]")) {
    if (picture.complete) continue;
    picture.dataset.src = picture.getAttribute("src");
    picture.removeAttribute("src");
  }
}

function unpark(tile) {
  for (const picture of tile.querySelectorAll("img[data-src]")) {
    picture.src = picture.dataset.src;
    delete picture.dataset.src;
  }
}

function nothing() {
  const made = document.createElement("li");
  made.className = "nothing";
  made.textContent = t("There is nothing here.");
  return made;
}
