// The page that takes recordings: what was chosen is sent at once, and the button makes the job of it.
import { csrf, toast } from "./base.js";
import { fromDrop, fromPicker, keys, sort } from "./choosing.js";
import { finder, parse } from "./manifest.js";
import { CannotSend, Uploads } from "./uploads.js";

const MOST_ROWS = 300;
const form = document.getElementById("new-job");
const drop = document.getElementById("drop");
const list = document.getElementById("files");
const maxBytes = Number(form.dataset.maxBytes);
const maxItems = Number(form.dataset.maxItems);
const byId = (id) => document.getElementById(id);
const count = new Intl.NumberFormat("en");

let entries = []; // {key, file, path, state, share, recording | code + message, row}
let key = keys();
let wantsToStart = false;
let left = false;
let once = newKey(); // one job for one press of the button, however often the request is sent

const uploads = new Uploads((entry) => { drawRow(entry); drawTotals(); });

function newKey() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

async function take({ files, unreadable }) {
  const { recordings, manifests, left: aside } = sort(files);
  let lines = recordings.map((one) => ({ key: one.path, one }));
  try {
    if (manifests.length > 1) throw new Error("There are several manifests; choose one at a time.");
    if (manifests.length === 1) lines = await linesOf(manifests[0], recordings);
  } catch (error) {
    note(error.message, true);
    return;
  }
  if (unreadable.length) note(`${count.format(unreadable.length)} could not be read: ${unreadable.slice(0, 5).join(", ")}`, true);
  if (aside) note(`${count.format(aside)} ${aside === 1 ? "file that is no recording was" : "files that are no recordings were"} left out.`);
  if (entries.length + lines.length > maxItems) {
    note(`A job takes at most ${count.format(maxItems)} recordings; these would make ${count.format(entries.length + lines.length)}.`, true);
    return;
  }
  for (const line of lines) add(line);
  drawTotals();
}

async function linesOf(manifest, recordings) {
  const find = finder(recordings);
  const lines = parse(manifest.file.name, (await manifest.file.text()).replace(/^\uFEFF/, ""))
    .map(({ key: own, path }) => ({ key: own, path, one: find(path) }));
  const used = new Set(lines.map((line) => line.one));
  const unused = recordings.filter((one) => !used.has(one)).length;
  note(`${manifest.file.name} names ${count.format(lines.length)} recordings.` + (unused ? ` ${count.format(unused)} other files were left out.` : ""));
  return lines;
}

function add({ key: wanted, path, one }) {
  const entry = { key: key(wanted), file: one?.file, path: one?.path ?? path, share: 0 };
  entries.push(entry);
  if (!one) fail(entry, new CannotSend("missing_file", `The manifest names ${path}, which was not among the files.`));
  else if (one.file.size > maxBytes) fail(entry, new CannotSend("too_large", `This recording is larger than ${size(maxBytes)}. Send a shorter piece of it.`));
  else uploads.add(entry);
  if (entries.length <= MOST_ROWS) addRow(entry);
}

function fail(entry, error) {
  Object.assign(entry, { state: "failed", code: error.code, message: error.message, share: 1 });
}

function addRow(entry) {
  const row = document.createElement("li");
  row.innerHTML = '<span class="file-name"></span><span class="file-size"></span><span class="file-state"></span>' +
    '<button class="icon-button" type="button"><svg aria-hidden="true"><use href="#i-stop"/></svg></button>';
  row.querySelector(".file-name").textContent = entry.path;
  row.querySelector(".file-name").title = entry.key;
  row.querySelector(".file-size").textContent = entry.file ? size(entry.file.size) : "";
  row.querySelector("button").setAttribute("aria-label", `Remove ${entry.path}`);
  row.querySelector("button").addEventListener("click", () => remove(entry));
  entry.row = row;
  list.append(row);
  drawRow(entry);
}

function drawRow(entry) {
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

function remove(entry) {
  entry.state = "removed";
  entry.abort?.();
  entry.row?.remove();
  entries = entries.filter((one) => one !== entry);
  drawTotals();
}

function clear() {
  uploads.clear();
  for (const entry of entries) { entry.state = "removed"; entry.abort?.(); }
  entries = [];
  key = keys();
  wantsToStart = false;
  list.replaceChildren();
  byId("notes").replaceChildren();
  drawTotals();
}

let drawing = 0;
function drawTotals() {
  drawing ||= requestAnimationFrame(() => { drawing = 0; reallyDrawTotals(); });
}

function reallyDrawTotals() {
  const total = entries.length;
  const ended = entries.filter((entry) => entry.state === "sent" || entry.state === "failed").length;
  const failed = entries.filter((entry) => entry.state === "failed").length;
  const bytes = entries.reduce((sum, entry) => sum + (entry.file?.size ?? 0), 0);
  const gone = entries.reduce((sum, entry) => sum + entry.share * (entry.file?.size ?? 0), 0);
  byId("chosen").hidden = !total && !byId("notes").children.length;
  drop.classList.toggle("drop-small", total > 0);
  byId("chosen-heading").textContent = total === 1 ? "1 recording" : `${count.format(total)} recordings`;
  byId("sent").textContent = total ? `${count.format(ended - failed)} sent${failed ? `, ${count.format(failed)} not` : ""} · ${size(bytes)}` : "";
  byId("progress").value = bytes ? gone / bytes : total ? ended / total : 0;
  byId("beyond").textContent = total > MOST_ROWS ? `… and ${count.format(total - MOST_ROWS)} more` : "";
  const button = byId("submit");
  button.disabled = !total || wantsToStart;
  button.textContent = total > 1 ? `Draw ${count.format(total)} faces` : total ? "Draw the face" : "Draw faces";
  byId("submit-hint").textContent = !total ? "Choose at least one recording."
    : wantsToStart && ended < total ? "Starts as soon as everything is sent."
    : ended < total ? "Recordings are being sent. You need not wait for it."
    : failed ? "What could not be sent is kept in the job, with the reason." : "";
  if (wantsToStart && ended === total) start();
}

async function start() {
  if (left) return;
  left = true;
  const items = entries.map((entry) => ({
    key: entry.key,
    name: entry.path.slice(-1000),
    ...(entry.state === "sent" ? { recording: entry.recording } : { error_code: entry.code.slice(0, 40), error_message: entry.message.slice(0, 1000) }),
  }));
  try {
    const answer = await fetch("/api/v1/jobs", {
      method: "POST",
      headers: { "Content-Type": "application/json", "X-CSRF-Token": csrf, "Idempotency-Key": once },
      body: JSON.stringify({ kind: "infer", name: byId("name").value, model: byId("model").value, items }),
    });
    const job = await answer.json();
    if (!answer.ok) throw new Error(job.detail);
    location.assign(job.links.html);
  } catch (error) {
    left = wantsToStart = false;
    note(`The job could not be made: ${error.message || "the service did not answer."}`, true);
    drawTotals();
  }
}

function note(text, bad = false) {
  const item = document.createElement("li");
  item.textContent = text;
  if (bad) item.className = "note-bad";
  byId("notes").append(item);
  drawTotals();
}

function size(bytes) {
  return bytes < 1000 ? `${bytes} B` : bytes < 1e6 ? `${Math.round(bytes / 1000)} kB` : `${(bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0)} MB`;
}

for (const id of ["pick-files", "pick-folder"]) {
  byId(id).addEventListener("change", (event) => {
    take(fromPicker(event.target.files));
    event.target.value = "";
  });
}
byId("clear").addEventListener("click", clear);
form.addEventListener("submit", (event) => {
  event.preventDefault();
  wantsToStart = true;
  drawTotals();
});
// The whole page takes drops: a folder let go beside the frame would otherwise open in its place.
let over = 0;
addEventListener("dragenter", (event) => { event.preventDefault(); over += 1; drop.classList.add("drop-over"); });
addEventListener("dragleave", () => { over -= 1; if (over <= 0) drop.classList.remove("drop-over"); });
addEventListener("dragover", (event) => event.preventDefault());
addEventListener("drop", async (event) => {
  event.preventDefault();
  over = 0;
  drop.classList.remove("drop-over");
  const found = await fromDrop(event.dataTransfer);
  if (found.files.length || found.unreadable.length) take(found);
  else toast("There was no file in what you dropped.");
});
addEventListener("beforeunload", (event) => {
  if (entries.length && !left) event.preventDefault();
});
