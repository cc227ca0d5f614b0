// The page that takes recordings: what was chosen is sent at once, and the button makes the job of it.
import { csrf } from "./base.js";
import { ChosenFiles, byId, count, newKey, size, takeFiles } from "./chosen_files.js";
import { keys, sort } from "./choosing.js";
import { finder, parse } from "./manifest.js";
import { CannotSend } from "./uploads.js";

const form = byId("new-job");
const maxBytes = Number(form.dataset.maxBytes);
const maxItems = Number(form.dataset.maxItems);

let key = keys();
let wantsToStart = false;
let left = false;
let once = newKey();

// What the chosen model draws from, and what people call one of those.
const wanted = () => byId("model").selectedOptions[0]?.dataset.input || "voice";
const word = () => (wanted() === "face" ? "picture" : "recording");
const some = (total) => (total === 1 ? `1 ${word()}` : `${count(total)} ${word()}s`);
const chosen = new ChosenFiles(some, drawTotals);

async function take({ files, unreadable }) {
  const { recordings, manifests, left: aside } = sort(files, wanted());
  let lines = recordings.map((one) => ({ key: one.path, one }));
  try {
    if (manifests.length > 1) throw new Error("There are several manifests; choose one at a time.");
    if (manifests.length === 1) lines = await linesOf(manifests[0], recordings);
  } catch (error) {
    chosen.note(error.message, true);
    return;
  }
  if (unreadable.length) chosen.note(`${count(unreadable.length)} could not be read: ${unreadable.slice(0, 5).join(", ")}`, true);
  if (aside) chosen.note(`${count(aside)} ${aside === 1 ? `file that is no ${word()} was` : `files that are no ${word()}s were`} left out.`);
  const total = chosen.entries.length + lines.length;
  if (total > maxItems) {
    chosen.note(`A job takes at most ${some(maxItems)}; these would make ${count(total)}.`, true);
    return;
  }
  for (const line of lines) add(line);
  chosen.draw();
}

async function linesOf(manifest, recordings) {
  const find = finder(recordings);
  const lines = parse(manifest.file.name, (await manifest.file.text()).replace(/^\uFEFF/, ""))
    .map(({ key: own, path }) => ({ key: own, path, one: find(path) }));
  const used = new Set(lines.map((line) => line.one));
  const unused = recordings.filter((one) => !used.has(one)).length;
  chosen.note(`${manifest.file.name} names ${some(lines.length)}.` + (unused ? ` ${count(unused)} other files were left out.` : ""));
  return lines;
}

function add({ key: wanted, path, one }) {
  let problem = null;
  if (!one) problem = new CannotSend("missing_file", `The manifest names ${path}, which was not among the files.`);
  else if (one.file.size > maxBytes) problem = new CannotSend("too_large", `This ${word()} is larger than ${size(maxBytes)}. Send a ${wanted() === "face" ? "smaller one" : "shorter piece of it"}.`);
  chosen.add({ key: key(wanted), file: one?.file, path: one?.path ?? path }, problem);
}

function drawTotals({ total, ended, failed }) {
  const button = byId("submit");
  button.disabled = !total || wantsToStart;
  button.textContent = total > 1 ? `Draw ${count(total)} faces` : total ? "Draw the face" : "Draw faces";
  byId("submit-hint").textContent = !total ? `Choose at least one ${word()}.`
    : wantsToStart && ended < total ? "Starts as soon as everything is sent."
    : ended < total ? "They are being sent. You need not wait for it."
    : failed ? "What could not be sent is kept in the job, with the reason." : "";
  if (wantsToStart && ended === total) start();
}

async function start() {
  if (left) return;
  left = true;
  const items = chosen.entries.map((entry) => ({
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
    chosen.note(`The job could not be made: ${error.message || "the service did not answer."}`, true);
  }
}

takeFiles(take);
byId("model").addEventListener("change", () => chosen.draw());
byId("clear").addEventListener("click", () => {
  key = keys();
  wantsToStart = false;
  chosen.clear();
});
form.addEventListener("submit", (event) => {
  event.preventDefault();
  wantsToStart = true;
  chosen.draw();
});
addEventListener("beforeunload", (event) => {
  if (chosen.entries.length && !left) event.preventDefault();
});
