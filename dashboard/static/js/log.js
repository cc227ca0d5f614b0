// The end of a job's log. It follows what is said, unless somebody has scrolled up to read.
import { locale } from "./words.js";

const MOST_LINES = 2000;
const clock = new Intl.DateTimeFormat(locale, { timeStyle: "medium" });
const exact = new Intl.DateTimeFormat(locale, { dateStyle: "full", timeStyle: "long" });

export class Log {
  constructor(address) {
    this.address = address;
    this.list = document.getElementById("log");
    this.button = document.getElementById("log-end");
    this.next = Number(this.list.dataset.next);
    for (const time of this.list.querySelectorAll("time")) writeClock(time);
    this.follows = true;
    this.toEnd();
    this.list.addEventListener("scroll", () => {
      this.follows = this.list.scrollHeight - this.list.scrollTop - this.list.clientHeight < 24;
      if (this.follows) this.button.hidden = true;
    });
    this.button.addEventListener("click", () => { this.follows = true; this.toEnd(); });
  }

  async read() {
    let more = true;
    while (more) {
      const answer = await fetch(`${this.address}?after=${this.next}&limit=500`);
      if (!answer.ok) return;
      const { data, next } = await answer.json();
      this.next = next;
      more = data.length === 500;
      this.list.append(...data.map(line));
      while (this.list.children.length > MOST_LINES) this.list.firstElementChild.remove();
      if (!data.length) return;
      if (this.follows) this.toEnd();
      else this.button.hidden = false;
    }
  }

  toEnd() {
    this.list.scrollTop = this.list.scrollHeight;
    this.button.hidden = true;
  }
}

function line({ at, level, text }) {
  const item = document.createElement("li");
  item.className = `log-${level}`;
  const time = document.createElement("time");
  time.className = "log-at";
  time.dateTime = at;
  time.dataset.clock = "";
  writeClock(time);
  const words = document.createElement("span");
  words.textContent = text;
  item.append(time, words);
  return item;
}

function writeClock(time) {
  const at = new Date(time.dateTime);
  time.textContent = clock.format(at);
  time.title = exact.format(at);
}
