// The list of files that were chosen and are being sent, and the page as a place to drop them, for every form that
// takes files. Of many thousands only the rows in view are on the page.
import { toast } from "./base.js";
import { fromDrop, fromPicker } from "./choosing.js";
import { Uploads, identityOf } from "./uploads.js";
import { locale, number, t, tn } from "./words.js";

const OVERSCAN = 8;
// Names of files often differ at their end alone: of longer ones so much of it is never cut off.
const NAME_LENGTH = 40;
const NAME_END = 20;
const tenths = new Intl.NumberFormat(locale, { minimumFractionDigits: 1, maximumFractionDigits: 1 });
export const byId = (id) => document.getElementById(id);
const WORDS = { waiting: t("Waiting"), sent: t("Sent"), failed: t("Not sent"), lost: t("Choose it again") };

export class ChosenFiles {
  entries = []; // {key, path, file?, size, state, share, recording | code + message}
  #list = byId("files");
  #view = byId("files-view");
  #rows = new Map(); // entries in view, each with its row
  #onlyFailed = false;
  #frame = 0;
  #next = 0;

  // `heading(total)` names the list, and `drawn({total, ended, failed, lost})` draws what else depends on it. With a
  // `draft`, rows outlive the page. `came(entry)` is told of every file that is there or cannot come.
  constructor(heading, drawn, { draft = null, came = () => {} } = {}) {
    this.heading = heading;
    this.drawn = drawn;
    this.draft = draft;
    this.came = came;
    this.uploads = new Uploads((entry) => this.#moved(entry));
    this.#view.addEventListener("scroll", () => this.draw(), { passive: true });
    new ResizeObserver(() => this.draw()).observe(this.#view);
    byId("try-again").addEventListener("click", () => this.#tryAgain());
    byId("only-failed").addEventListener("click", () => {
      this.#onlyFailed = !this.#onlyFailed;
      this.#view.scrollTop = 0;
      this.draw();
    });
  }

  // Sends an entry, unless it has been sent, its file is missing, or there is a reason why it cannot be.
  add(entry, problem = null) {
    entry.share ??= 0;
    entry.number ??= this.#next;
    this.#next = Math.max(this.#next, entry.number + 1);
    entry.size = entry.file?.size ?? entry.size ?? 0;
    if (entry.file) entry.identity = identityOf(entry.file, entry.path);
    this.entries.push(entry);
    if (problem) Object.assign(entry, { state: "failed", code: problem.code, message: problem.message, share: 1 });
    else if (entry.recording) Object.assign(entry, { state: "sent", share: 1 });
    else if (!entry.file) entry.state = entry.code && entry.code !== "missing_file" ? "failed" : "lost";
    else this.uploads.add(entry);
    this.#keep(entry);
    this.draw();
  }

  // Gives a lost entry its file.
  found(entry, file) {
    Object.assign(entry, { file, size: file.size, identity: identityOf(file, entry.path) });
    this.uploads.add(entry);
    this.#keep(entry);
    this.draw();
  }

  remove(entry) {
    this.entries = this.entries.filter((one) => one !== entry);
    this.#gone(entry);
    this.draw();
  }

  removeLost() {
    const lost = this.entries.filter((entry) => entry.state === "lost");
    this.entries = this.entries.filter((entry) => entry.state !== "lost");
    for (const entry of lost) this.#gone(entry);
    this.draw();
  }

  clear() {
    this.uploads.clear();
    for (const entry of this.entries) this.#gone(entry);
    this.draft?.clear();
    this.entries = [];
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

  #moved(entry) {
    const row = this.#rows.get(entry);
    if (row) drawRow(row, entry);
    if (entry.state === "sent" || entry.state === "failed") {
      this.#keep(entry);
      this.came(entry);
    }
    this.draw();
  }

  #keep(entry) {
    if (!this.draft || entry.archive) return;
    const { key, path, size, identity, recording, code, message } = entry;
    this.draft.keep(entry.number, { key, path, size, identity, recording, code, message });
  }

  #gone(entry) {
    entry.state = "removed";
    entry.abort?.();
    this.uploads.forget(entry);
    this.draft?.drop(entry.number);
  }

  #tryAgain() {
    for (const entry of this.entries) if (entry.state === "failed" && entry.file) this.uploads.add(entry);
    this.draw();
  }

  #reallyDraw() {
    let [ended, failed, lost, again, bytes, gone] = [0, 0, 0, 0, 0, 0];
    for (const { state, share, size, file } of this.entries) {
      if (state === "failed") { failed += 1; if (file) again += 1; }
      if (state === "sent" || state === "failed") ended += 1;
      if (state === "lost") lost += 1;
      bytes += size;
      gone += share * size;
    }
    const total = this.entries.length;
    this.#onlyFailed &&= failed > 0;
    byId("chosen").hidden = !total && !byId("notes").children.length;
    byId("drop").classList.toggle("drop-small", total > 0);
    byId("chosen-heading").textContent = this.heading(total);
    const said = { sent: number(ended - failed), failed: number(failed), size: sizeOf(bytes) };
    byId("sent").textContent = !total ? "" : failed ? t("{sent} sent, {failed} not · {size}", said) : t("{sent} sent · {size}", said);
    byId("progress").value = bytes ? gone / bytes : total ? ended / total : 0;
    byId("failures").hidden = !failed;
    byId("try-again").hidden = !again;
    byId("only-failed").textContent = this.#onlyFailed ? t("Show all") : tn("Show the {count} not sent", "Show the {count} not sent", failed);
    this.#drawRows();
    this.drawn({ total, ended, failed, lost });
  }

  #drawRows() {
    const shown = this.#onlyFailed ? this.entries.filter((entry) => entry.state === "failed") : this.entries;
    const height = 3.25 * parseFloat(getComputedStyle(document.documentElement).fontSize);
    const first = Math.max(0, Math.floor(this.#view.scrollTop / height) - OVERSCAN);
    const last = Math.min(shown.length, Math.ceil((this.#view.scrollTop + this.#view.clientHeight) / height) + OVERSCAN);
    const wanted = new Set(shown.slice(first, last));
    for (const [entry, row] of this.#rows) if (!wanted.has(entry)) { row.remove(); this.#rows.delete(entry); }
    this.#view.hidden = !shown.length;
    this.#list.style.height = `${shown.length * height}px`;
    let index = first;
    for (const entry of wanted) {
      const row = this.#rows.get(entry) ?? this.#newRow(entry);
      row.style.transform = `translateY(${index * height}px)`;
      row.setAttribute("aria-posinset", String(index + 1));
      row.setAttribute("aria-setsize", String(shown.length));
      // Rows stand in their order for those who go through them by keyboard, too.
      if (this.#list.children[index - first] !== row) this.#list.insertBefore(row, this.#list.children[index - first] ?? null);
      index += 1;
    }
  }

  #newRow(entry) {
    const row = document.createElement("li");
    row.innerHTML = '<span class="file-name"><span><span class="name-head"></span><span class="name-tail"></span></span><small></small></span><span class="file-size"></span><span class="file-state"></span>' +
      '<button class="icon-button" type="button"><svg aria-hidden="true"><use href="#i-stop"/></svg></button><i class="file-share"></i>';
    const end = entry.path.length > NAME_LENGTH ? entry.path.length - NAME_END : entry.path.length;
    row.querySelector(".name-head").textContent = entry.path.slice(0, end);
    row.querySelector(".name-tail").textContent = entry.path.slice(end);
    row.querySelector(".file-name").title = entry.key;
    row.querySelector(".file-size").textContent = entry.size || entry.file ? sizeOf(entry.size) : "";
    row.querySelector("button").setAttribute("aria-label", t("Remove {name}", { name: entry.path }));
    row.querySelector("button").addEventListener("click", () => this.remove(entry));
    this.#rows.set(entry, row);
    drawRow(row, entry);
    return row;
  }
}

function drawRow(row, entry) {
  row.className = `file file-${entry.state}`;
  const percent = Math.floor(entry.share * 100);
  const unpacking = entry.archive && percent >= 100;
  row.querySelector(".file-state").textContent = entry.state === "sending" ? (unpacking ? t("Unpacking") : t("{percent} %", { percent })) : WORDS[entry.state] ?? "";
  row.querySelector(".file-share").style.transform = `scaleX(${entry.state === "sending" ? entry.share : 0})`;
  const why = row.querySelector("small");
  why.textContent = entry.state === "failed" || entry.state === "lost" ? entry.message ?? "" : "";
  why.title = why.textContent;
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
    else toast(t("There was no file in what you dropped."));
  });
}

// What could not be taken out of what was dropped, by the first of its names.
export function couldNotBeRead(paths) {
  const names = paths.slice(0, 5).join(", ");
  return tn("{count} could not be read: {names}", "{count} could not be read: {names}", paths.length, { names });
}

// Names one press of the button, so that it makes one job however often the request is sent.
export function newKey() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

export function sizeOf(bytes) {
  if (bytes < 1000) return t("{count} B", { count: number(bytes) });
  if (bytes < 1e6) return t("{count} kB", { count: number(Math.round(bytes / 1000)) });
  if (bytes < 1e7) return t("{count} MB", { count: tenths.format(bytes / 1e6) });
  return bytes < 1e9 ? t("{count} MB", { count: number(Math.round(bytes / 1e6)) }) : t("{count} GB", { count: tenths.format(bytes / 1e9) });
}
export { sizeOf as size };
