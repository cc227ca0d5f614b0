// The keyboard in a gallery: Tab comes to one tile, arrow keys go from tile to tile.

const CONTROLS = ".tile-open, .tile-choose, button";

export class Keys {
  // `steps(place, event)` says what else happens when the keyboard goes to a place.
  constructor(list, blocks, view, stepped) {
    this.list = list;
    this.blocks = blocks;
    this.view = view;
    this.stepped = stepped;
    this.current = 0;
    list.tabIndex = -1; // has the focus while its tile is on the way
    list.addEventListener("keydown", (event) => this.#pressed(event));
    list.addEventListener("focusin", (event) => {
      const tile = event.target.closest(".tile");
      if (tile) this.#turnTo(this.view.from + [...list.children].indexOf(tile));
    });
  }

  // Only the controls of the current tile are on the way of the Tab key.
  dress(tile, place) {
    const index = place === this.current ? 0 : -1;
    for (const control of tile.querySelectorAll(CONTROLS)) if (control.tabIndex !== index) control.tabIndex = index;
  }

  go(place, below = 0) {
    this.#turnTo(place);
    this.view.reveal(place, { below });
    this.focus();
  }

  // Gives the focus to the current tile, or to the list until the tile is here.
  focus() {
    const tile = this.list.children[this.current - this.view.from];
    const control = tile?.querySelector(".tile-open");
    (control ?? this.list).focus({ preventScroll: true });
  }

  // Tiles came on the page: the one that the keyboard waits for may be among them.
  arrived() {
    if (document.activeElement === this.list && this.current >= this.view.from && this.current < this.view.to) this.focus();
  }

  #turnTo(place) {
    if (place === this.current) return;
    const [old, next] = [this.current, place].map((one) => this.list.children[one - this.view.from]);
    const before = this.current;
    this.current = place;
    if (old?.matches(".tile")) this.dress(old, before);
    if (next?.matches(".tile")) this.dress(next, place);
  }

  #pressed(event) {
    if (event.altKey || event.metaKey) return;
    const last = this.blocks.count - 1;
    const { columns, rowsSeen } = this.view;
    const row = this.current - (this.current % columns);
    const whole = event.ctrlKey;
    const goals = {
      ArrowLeft: this.current - 1,
      ArrowRight: this.current + 1,
      ArrowUp: this.current - columns,
      ArrowDown: this.current + columns,
      PageUp: this.current - columns * rowsSeen,
      PageDown: this.current + columns * rowsSeen,
      Home: whole ? 0 : row,
      End: whole ? last : row + columns - 1,
    };
    const goal = goals[event.key];
    if (goal === undefined || last < 0) {
      this.#letter(event);
      return;
    }
    event.preventDefault();
    // Up from the first row and down from the last one stay where they are.
    if (event.key === "ArrowUp" && goal < 0) return;
    const place = Math.min(last, Math.max(0, goal));
    if (event.key === "ArrowDown" && goal > last && Math.floor(this.current / columns) === Math.floor(last / columns)) return;
    const before = this.current;
    this.go(place, document.getElementById("chosen")?.offsetHeight ?? 0);
    this.stepped(before, place, event);
  }

  // One letter for each thing that a tile has a button for.
  #letter(event) {
    if (event.ctrlKey || event.shiftKey || event.target === this.list) return;
    const tile = event.target.closest(".tile");
    const button = { f: "button.tile-star", p: ".play", " ": ".tile-choose" }[event.key];
    const control = button && tile?.querySelector(button);
    if (!control || (event.key === " " && event.target !== tile.querySelector(".tile-open"))) return;
    event.preventDefault();
    control.click();
  }
}
