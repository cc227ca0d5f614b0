// The tiles of a gallery, block by block as the server renders them. Only blocks near to what is looked at are kept.

import { answered } from "./session.js";

export const BLOCK = 60; // as many as the server answers at once
const MOST_BLOCKS = 24;
const AGAIN_SECONDS = 3;
const TILES_BY_ID = 100;

export class Blocks {
  // `list` says with its data where tiles are; `changed(first, after)` is told of every stretch of new tiles, and
  // `counted()` when how many there are is new.
  constructor(list, { changed, counted }) {
    this.list = list;
    this.changed = changed;
    this.counted = counted;
    this.isNarrowed = list.dataset.narrowed === "yes";
    this.blocks = new Map(); // number of the block → its tiles
    this.asked = new Map(); // number of the block → what stops asking for it
    this.places = new Map(); // id → place among all tiles, of the blocks that are here
    this.sources = new WeakMap(); // tile → as the server wrote it
    this.after = null; // of a narrowed list: the position that each block begins behind
    this.wanted = [0, 0];
    this.allIds = null;
    const tiles = [...list.querySelectorAll(":scope > .tile")];
    this.count = this.isNarrowed ? tiles.length : Number(list.dataset.total);
    this.#enter(0, tiles);
  }

  tile(place) {
    return this.blocks.get(Math.floor(place / BLOCK))?.[place % BLOCK] ?? null;
  }

  placeOf(id) {
    return this.places.get(id) ?? null;
  }

  // The tiles at these places are wanted, and no others.
  want(from, to) {
    this.wanted = [Math.floor(from / BLOCK), Math.floor(Math.max(from, to - 1) / BLOCK)];
    for (const [number, asking] of this.asked) {
      if (this.#isWanted(number)) continue;
      asking.abort();
      this.asked.delete(number); // it may be wanted again before the old question has ended
    }
    for (let number = this.wanted[0]; number <= this.wanted[1]; number += 1) {
      if (!this.blocks.has(number) && !this.asked.has(number)) this.#fetch(number);
    }
  }

  // How many there are in a narrowed list, and where its blocks begin. What was there may have moved.
  async countAnew() {
    this.allIds = null;
    if (!this.isNarrowed) return;
    const answer = await this.#ask(`${this.list.dataset.items}/anchors?every=${BLOCK}&${this.list.dataset.query}`);
    if (!answer) return;
    const { count, after } = await answer.json();
    const isFirst = this.after === null;
    this.count = count;
    this.after = after;
    this.counted();
    if (isFirst) return; // the tiles are as new as the count
    for (let number = this.wanted[0]; number <= this.wanted[1]; number += 1) this.#fetch(number);
    this.#forgetUnwanted();
  }

  // Items moved; `more` says that there are others than these. Tiles out of sight are asked for when they come in sight.
  async moved(ids, more) {
    if (this.isNarrowed) {
      await this.countAnew();
      return;
    }
    if (more) {
      this.#forgetUnwanted();
      for (const number of [...this.blocks.keys()]) await this.#fetch(number);
      return;
    }
    const here = [];
    for (const id of ids) {
      const number = Math.floor((this.places.get(id) ?? NaN) / BLOCK);
      if (this.#isWanted(number)) here.push(id);
      else if (this.blocks.has(number)) this.#forget(number);
    }
    for (let first = 0; first < here.length; first += TILES_BY_ID) {
      const some = here.slice(first, first + TILES_BY_ID);
      const answer = await this.#ask(this.#address({ ids: some.join(",") }));
      if (answer) for (const tile of await this.#tiles(answer)) this.#replace(tile);
    }
  }

  // The ids of all of them, in order.
  async ids() {
    if (!this.allIds) {
      const answer = await this.#ask(`${this.list.dataset.items}/ids?${this.list.dataset.query}`);
      if (!answer) return null;
      this.allIds = (await answer.json()).data;
    }
    return this.allIds;
  }

  #isWanted(number) {
    return number >= this.wanted[0] && number <= this.wanted[1];
  }

  #address(added) {
    const address = new URL(this.list.dataset.tiles, location.href);
    for (const [name, value] of Object.entries(added)) address.searchParams.set(name, value);
    return address;
  }

  async #fetch(number) {
    if (this.asked.has(number)) return;
    const asking = new AbortController();
    this.asked.set(number, asking);
    try {
      if (this.isNarrowed && !this.after) await this.countAnew();
      const after = this.isNarrowed ? this.after?.[number] : number * BLOCK - 1;
      const answer = after === undefined ? null : await this.#ask(this.#address({ after }), asking.signal);
      if (answer) this.#keep(number, await this.#tiles(answer));
      else if (after !== undefined && !asking.signal.aborted) setTimeout(() => this.#again(number), AGAIN_SECONDS * 1000);
    } catch (error) {
      if (error.name !== "AbortError") throw error;
    } finally {
      if (this.asked.get(number) === asking) this.asked.delete(number);
    }
  }

  #again(number) {
    if (this.#isWanted(number) && !this.blocks.has(number)) this.#fetch(number);
  }

  // The answer, or nothing where the service is away or refuses.
  async #ask(address, signal) {
    try {
      const answer = await fetch(address, { signal, headers: { "HX-Request": "true" } });
      answered(answer.status);
      return answer.ok ? answer : null;
    } catch {
      if (!signal?.aborted) answered(0);
      return null;
    }
  }

  async #tiles(answer) {
    const parsed = document.createElement("template");
    parsed.innerHTML = await answer.text();
    return [...parsed.content.querySelectorAll(".tile")];
  }

  #keep(number, tiles) {
    this.#enter(number, tiles);
    this.#forgetFar();
    this.changed(number * BLOCK, number * BLOCK + BLOCK);
  }

  #enter(number, tiles) {
    const old = this.blocks.get(number);
    const kept = tiles.map((tile) => this.#same(old, tile));
    this.#displace(number);
    this.blocks.set(number, kept);
    kept.forEach((tile, along) => this.places.set(idOf(tile), number * BLOCK + along));
  }

  // A tile that says what it said before stays, so that its picture does not appear anew.
  #same(old, tile) {
    tile.removeAttribute("hx-swap-oob");
    const source = tile.outerHTML;
    const before = old?.find((one) => one.id === tile.id);
    if (before && this.sources.get(before) === source) return before;
    this.sources.set(tile, source);
    return tile;
  }

  #replace(tile) {
    const place = this.places.get(idOf(tile));
    if (place === undefined) return;
    const block = this.blocks.get(Math.floor(place / BLOCK));
    block[place % BLOCK] = this.#same(block, tile);
    this.changed(place, place + 1);
  }

  #forget(number) {
    this.#displace(number);
    this.blocks.delete(number);
  }

  // Items of the block have no place any more, but for those that were found in another block since.
  #displace(number) {
    for (const tile of this.blocks.get(number) ?? []) {
      const id = idOf(tile);
      if (Math.floor((this.places.get(id) ?? NaN) / BLOCK) === number) this.places.delete(id);
    }
  }

  #forgetUnwanted() {
    for (const number of [...this.blocks.keys()]) if (!this.#isWanted(number)) this.#forget(number);
  }

  #forgetFar() {
    if (this.blocks.size <= MOST_BLOCKS) return;
    const middle = (this.wanted[0] + this.wanted[1]) / 2;
    const far = [...this.blocks.keys()].sort((a, b) => Math.abs(b - middle) - Math.abs(a - middle));
    for (const number of far.slice(0, this.blocks.size - MOST_BLOCKS)) if (!this.#isWanted(number)) this.#forget(number);
  }
}

export function idOf(tile) {
  return Number(tile.id.slice(5));
}
