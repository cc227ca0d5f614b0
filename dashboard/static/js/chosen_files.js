// The list of files that were chosen and are being sent, and the page as a place to drop them, for every form that
// takes files.
import { toast } from "./base.js";
import { fromDrop, fromPicker } from "./choosing.js";
import { Uploads } from "./uploads.js";

const MOST_ROWS = 300;
const number = new Intl.NumberFormat("en");
export const byId = (id) => document.getElementById(id);
export const count = (value) => number.format(value);

export class ChosenFiles {
  entries = []; // {key, file, path, state, share, recording | code + message, row}
  #list = byId("files");
  #frame = 0;

  // `heading(total)` names the list, and `drawn({total, ended, failed})` draws what else depends on it.
  constructor(heading, drawn) {
    this.heading = heading;
    this.drawn = drawn;
    this.uploads = new Uploads((entry) => { this.#drawRow(entry); this.draw(); });
  }

  // Sends an entry, unless there is a reason why it cannot be.
  add(entry, problem = null) {
    entry.share = 0;
    this.entries.push(entry);
    if (problem) Object.assign(entry, { state: "failed", code: problem.code, message: problem.message, share: 1 });
    else this.uploads.add(entry);
    if (this.entries.length <= MOST_ROWS) this.#addRow(entry);
  }

  clear() {
    this.uploads.clear();
    for (const entry of this.entries) { entry.state = "removed"; entry.abort?.(); }
    this.entries = [];
    this.#list.replaceChildren();
    byId("notes").replaceChildren();
    this.draw();
  }

  note(text, bad = false) {
    const item = document.createElement("li");
    item.textContent = text;
    if (bad) item.className = "note-bad";
    byId("notes").append(item);
    this.draw();
  }

  draw() {
    this.#frame ||= requestAnimationFrame(() => { this.#frame = 0; this.#reallyDraw(); });
  }

  #reallyDraw() {
    const entries = this.entries;
    const total = entries.length;
    const ended = entries.filter((entry) => entry.state === "sent" || entry.state === "failed").length;
    const failed = entries.filter((entry) => entry.state === "failed").length;
    const bytes = entries.reduce((sum, entry) => sum + (entry.file?.size ?? 0), 0);
    const gone = entries.reduce((sum, entry) => sum + entry.share * (entry.file?.size ?? 0), 0);
    byId("chosen").hidden = !total && !byId("notes").children.length;
    byId("drop").classList.toggle("drop-small", total > 0);
    byId("chosen-heading").textContent = this.heading(total);
    byId("sent").textContent = total ? `${count(ended - failed)} sent${failed ? `, ${count(failed)} not` : ""} · ${size(bytes)}` : "";
    byId("progress").value = bytes ? gone / bytes : total ? ended / total : 0;
    byId("beyond").textContent = total > MOST_ROWS ? `… and ${count(total - MOST_ROWS)} more` : "";
    this.drawn({ total, ended, failed });
  }

  #addRow(entry) {
    const row = document.createElement("li");
    row.innerHTML = '<span class="file-name"></span><span class="file-size"></span><span class="file-state"></span>' +
      '<button class="icon-button" type="button"><svg aria-hidden="true"><use href="#i-stop"/></svg></button>';
    row.querySelector(".file-name").textContent = entry.path;
    row.querySelector(".file-name").title = entry.key;
    row.querySelector(".file-size").textContent = entry.file ? size(entry.file.size) : "";
    row.querySelector("button").setAttribute("aria-label", `Remove ${entry.path}`);
    row.querySelector("button").addEventListener("click", () => this.#remove(entry));
    entry.row = row;
    this.#list.append(row);
    this.#drawRow(entry);
  }

  #drawRow(entry) {
    const row = entry.row;
    if (!row) return;
    row.className = `file file-${entry.state}`;
    const percent = Math.round(entry.share * 100);
    row.querySelector(".file-state").textContent =
      { waiting: "Waiting", sending: `${percent} %`, sent: "Sent", failed: "Not sent" }[entry.state] ?? "";
    if (entry.message && !row.querySelector(".file-why")) {
      const why = document.createElement("span");
      why.className = "file-why";
      why.textContent = entry.message;
      row.append(why);
    }
  }

  #remove(entry) {
    entry.state = "removed";
    entry.abort?.();
    entry.row?.remove();
    this.entries = this.entries.filter((one) => one !== entry);
    this.draw();
  }
}

// Hands `take` what is picked or dropped; see `choosing.js` for `whole`.
export function takeFiles(take, { whole = false } = {}) {
  const drop = byId("drop");
  for (const id of ["pick-files", "pick-folder"]) {
    byId(id).addEventListener("change", (event) => {
      take(fromPicker(event.target.files, whole));
      event.target.value = "";
    });
  }
  // The whole page takes drops: a folder let go beside the frame would otherwise open in its place.
  let over = 0;
  addEventListener("dragenter", (event) => { event.preventDefault(); over += 1; drop.classList.add("drop-over"); });
  addEventListener("dragleave", () => { over -= 1; if (over <= 0) drop.classList.remove("drop-over"); });
  addEventListener("dragover", (event) => event.preventDefault());
  addEventListener("drop", async (event) => {
    event.preventDefault();
    over = 0;
    drop.classList.remove("drop-over");
    const found = await fromDrop(event.dataTransfer, whole);
    if (found.files.length || found.unreadable.length) take(found);
    else toast("There was no file in what you dropped.");
  });
}

// Names one press of the button, so that it makes one job however often the request is sent.
export function newKey() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

export function size(bytes) {
  return bytes < 1000 ? `${bytes} B` : bytes < 1e6 ? `${Math.round(bytes / 1000)} kB` : `${(bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0)} MB`;
}
