// The page that makes a job: of files that are sent at once, of the recordings of an earlier job, or of what lies in S3.
import { ask } from "./ask.js";
import { ChosenFiles, byId, couldNotBeRead, newKey, sizeOf, takeFiles } from "./chosen_files.js";
import { keys, sort } from "./choosing.js";
import { Draft } from "./draft.js";
import { checkManifest, finder } from "./manifest.js";
import { aboutJob, readLabels, restoreFields } from "./new_job_fields.js";
import { estimateFor, isRefused } from "./new_job_estimate.js";
import { earlierJob, inS3, takeFromS3 } from "./new_job_sources.js";
import { CannotSend, identityOf } from "./uploads.js";
import { number, t, tn } from "./words.js";

const form = byId("new-job");
const maxBytes = Number(form.dataset.maxBytes);
const maxArchiveBytes = Number(form.dataset.maxArchiveBytes);
const maxItems = Number(form.dataset.maxItems);
const KNOWN_AT_ONCE = 1000;

let key = keys();
let wantsToStart = false;
let left = false;
const once = newKey();

const source = () => form.elements.source.value;
// What the chosen model draws from, and what people call so many of those.
const wanted = () => byId("model").selectedOptions[0]?.dataset.input || "voice";
const ofFaces = () => wanted() === "face";
const some = (total) => (ofFaces() ? tn("{count} picture", "{count} pictures", total) : tn("{count} recording", "{count} recordings", total));
const recordings = () => chosen.entries.filter((entry) => !entry.archive);

// Whatever is dropped while the draft is being read is not lost.
let begin = null;
const begun = new Promise((done) => { begin = done; });
takeFiles((found) => begun.then(() => take(found)));
const draft = await Draft.open(form.dataset.user);
const chosen = new ChosenFiles(heading, drawTotals, { draft, came: unpacked });

function heading(total) {
  const archives = chosen.entries.reduce((sum, entry) => sum + (entry.archive ? 1 : 0), 0);
  const packed = archives ? tn("{count} archive", "{count} archives", archives) : "";
  if (total === archives) return packed;
  return packed ? t("{recordings} and {archives}", { recordings: some(total - archives), archives: packed }) : some(total);
}

async function take({ files, unreadable }) {
  form.elements.source.value = "files";
  drawSource();
  const { recordings: found, archives, manifests, left: aside } = sort(files, wanted());
  let lines = [];
  const fresh = reunite(found);
  try {
    if (manifests.length > 1) throw new Error(t("There are several manifests; choose one at a time."));
    if (manifests.length === 1) lines = await linesOf(manifests[0], fresh);
    else lines = fresh.map((one) => ({ key: one.path, one }));
  } catch (error) {
    chosen.note(error.message, true);
    return;
  }
  if (unreadable.length) chosen.note(couldNotBeRead(unreadable), true);
  if (aside) chosen.note(leftOut(aside));
  const total = chosen.entries.length + lines.length;
  if (total > maxItems) {
    chosen.note(t("A job takes at most {most}; these would make {total}.", { most: some(maxItems), total: number(total) }), true);
    return;
  }
  for (const line of lines) add(line);
  for (const one of archives) addArchive(one);
  chosen.draw();
}

function leftOut(aside) {
  return ofFaces()
    ? tn("{count} file that is no picture was left out.", "{count} files that are no pictures were left out.", aside)
    : tn("{count} file that is no recording was left out.", "{count} files that are no recordings were left out.", aside);
}

// Gives files that were chosen before, or that a manifest named, back to their rows; answers the others.
function reunite(found) {
  const lost = chosen.entries.filter((entry) => entry.state === "lost");
  const known = new Set(chosen.entries.filter((entry) => entry.restored).map((entry) => entry.identity));
  if (!lost.length && !known.size) return found;
  const byIdentity = new Map(lost.map((entry) => [entry.identity, entry]));
  const find = finder(found);
  const used = new Set();
  for (const one of found) {
    const entry = byIdentity.get(identityOf(one.file, one.path));
    if (entry?.state === "lost") { used.add(one); chosen.found(entry, one.file); }
  }
  for (const entry of lost) {
    const one = entry.named && entry.state === "lost" ? find(entry.path) : null;
    if (one) { used.add(one); chosen.found(entry, one.file); }
  }
  if (used.size) chosen.note(tn("{count} of them was waited for.", "{count} of them were waited for.", used.size));
  // What was sent before the reload need not be there twice.
  return found.filter((one) => !used.has(one) && !known.has(identityOf(one.file, one.path)));
}

async function linesOf(manifest, found) {
  const find = finder(found);
  const lines = (await checkManifest(manifest.file)).map((line) => ({ ...line, one: find(line.path) }));
  const used = new Set(lines.map((line) => line.one));
  const unused = found.filter((one) => !used.has(one)).length;
  const others = unused ? tn("{count} other file was left out.", "{count} other files were left out.", unused) : "";
  chosen.note(`${t("{manifest} names {recordings}.", { manifest: manifest.file.name, recordings: some(lines.length) })} ${others}`.trim());
  const missing = lines.filter((line) => !line.one);
  if (missing.length) {
    const told = missing.slice(0, 8).map(({ line, path }) => t("line {line} names {path}", { line: number(line), path }));
    if (missing.length > told.length) told.push(tn("… and {count} more", "… and {count} more", missing.length - told.length));
    const heading = tn(
      "{count} of them was not among the files. Choose it too, or it will have no face:",
      "{count} of them were not among the files. Choose them too, or they will have no face:",
      missing.length,
    );
    chosen.note([heading, ...told].join("\n"), true);
  }
  return lines;
}

function add({ key: wantedKey, path, one }) {
  let problem = null;
  if (one && one.file.size > maxBytes) problem = new CannotSend("too_large", tooLarge());
  const entry = { key: key(wantedKey), file: one?.file, path: one?.path ?? path };
  if (!one) Object.assign(entry, { named: true, code: "missing_file", message: t("The manifest names {path}, which was not among the files.", { path }) });
  chosen.add(entry, problem);
}

function tooLarge() {
  const size = sizeOf(maxBytes);
  return ofFaces()
    ? t("This picture is larger than {size}. Send a smaller one.", { size })
    : t("This recording is larger than {size}. Send a shorter piece of it.", { size });
}

function addArchive(one) {
  const problem = one.file.size > maxArchiveBytes ? new CannotSend("too_large", t("An archive may have {size} at most. Split it.", { size: sizeOf(maxArchiveBytes) })) : null;
  chosen.add({ key: one.path, path: one.path, file: one.file, archive: true }, problem);
}

// An archive that was taken apart makes room for what was in it.
function unpacked(entry) {
  if (!entry.archive || entry.state !== "sent") return;
  const { items, failed, left_out: aside } = entry.unpacked;
  chosen.remove(entry);
  if (chosen.entries.length + items.length > maxItems) {
    const said = { most: some(maxItems), archive: entry.path, total: number(chosen.entries.length + items.length) };
    chosen.note(t("A job takes at most {most}; with those of {archive} there would be {total}.", said), true);
    return;
  }
  for (const item of items) {
    const problem = item.recording ? null : new CannotSend(item.error_code, item.error_message);
    chosen.add({ key: key(item.key), path: item.name || item.key, recording: item.recording ?? undefined }, problem);
  }
  const said = { archive: entry.path, recordings: some(items.length) };
  const held = failed
    ? tn("{archive} held {recordings}, {count} of which cannot be used.", "{archive} held {recordings}, {count} of which cannot be used.", failed, said)
    : t("{archive} held {recordings}.", said);
  const others = aside ? tn("{count} other file in it was left out.", "{count} other files in it were left out.", aside) : "";
  chosen.note(`${held} ${others}`.trim());
}

// Brings back what an earlier look of this page had chosen, and asks which of it is still there.
async function restore() {
  const rows = (await draft?.rows()) ?? [];
  if (!rows.length || chosen.entries.length) return;
  const known = new Set();
  const sent = [...new Set(rows.map((row) => row.recording).filter(Boolean))];
  for (let start = 0; start < sent.length; start += KNOWN_AT_ONCE) {
    const answer = await ask("POST", "/api/v1/recordings/check", { recordings: sent.slice(start, start + KNOWN_AT_ONCE) });
    for (const recording of answer.known) known.add(recording);
  }
  for (const row of rows) {
    const recording = known.has(row.recording) ? row.recording : undefined;
    const failed = row.code && !["missing_file", "upload_failed", "signed_out"].includes(row.code);
    const entry = { ...row, key: key(row.key), recording, restored: Boolean(recording), named: row.code === "missing_file", share: 0 };
    if (failed) chosen.add(entry, new CannotSend(row.code, row.message));
    else {
      if (!recording) Object.assign(entry, { code: "missing_file", message: t("It was not sent before the page was left. Choose it again.") });
      chosen.add(entry);
    }
  }
  const lost = chosen.entries.filter((entry) => entry.state === "lost").length;
  const before = tn(
    "{count} file was chosen here before, and {sent} of them need not be sent again.",
    "{count} files were chosen here before, and {sent} of them need not be sent again.",
    rows.length, { sent: number(rows.length - lost) },
  );
  const again = lost ? tn("Choose the same file or folder once more for the other {count}.", "Choose the same files or folder once more for the other {count}.", lost) : "";
  chosen.note(`${before} ${again}`.trim());
}

// How many recordings the job would have, as far as it is known.
function total() {
  if (source() === "job") return earlierJob().total;
  if (source() === "s3") return inS3()?.recordings ?? 0;
  return recordings().length;
}

function drawTotals({ ended, failed, lost }) {
  if (source() !== "files") return drawButton(total());
  const all = chosen.entries.length;
  const there = recordings().length;
  drawButton(there || all);
  byId("lost-hint").hidden = !lost || wantsToStart;
  byId("lost-hint").firstElementChild.textContent = tn(
    "{count} is not here, and will be in the job without a face.",
    "{count} are not here, and will be in the job without a face.",
    lost,
  );
  byId("submit-hint").textContent = !all ? (ofFaces() ? t("Choose at least one picture.") : t("Choose at least one recording."))
    : wantsToStart && ended + lost < all ? t("Starts as soon as everything is sent.")
    : ended + lost < all ? t("They are being sent. You need not wait for it.")
    : failed ? t("What could not be sent is kept in the job, with the reason.") : "";
  if (wantsToStart && ended + lost === all) {
    if (there) start({ items: recordings().map(itemOf) });
    else { wantsToStart = false; chosen.draw(); }
  }
}

function drawButton(wantedTotal) {
  const button = byId("submit");
  estimateFor({ model: byId("model").value, items: wantedTotal, priority: byId("priority").value });
  button.disabled = !wantedTotal || wantsToStart || isRefused();
  button.textContent = wantsToStart ? t("One moment…")
    : wantedTotal > 1 ? tn("Draw {count} face", "Draw {count} faces", wantedTotal)
    : wantedTotal ? t("Draw the face") : t("Draw faces");
  if (source() !== "files") byId("submit-hint").textContent = wantedTotal ? "" : source() === "s3" ? t("Look first what is there.") : t("There is nothing of that kind in this job.");
}

function itemOf(entry) {
  const { key: own, path, state, recording, code, message } = entry;
  const end = state === "sent" ? { recording } : { error_code: (code ?? "missing_file").slice(0, 40), error_message: (message ?? t("It was not sent.")).slice(0, 1000) };
  return { key: own, name: path.slice(-1000), ...end };
}

async function start(made) {
  if (left) return;
  left = true;
  try {
    const body = { kind: "infer", model: byId("model").value, ...aboutJob(), ...made };
    const job = await ask("POST", "/api/v1/jobs", body, { "Idempotency-Key": once });
    draft?.clear();
    sessionStorage.removeItem("new-job");
    if (job.webhook_secret) showSecret(job);
    else location.assign(job.links.html);
  } catch (error) {
    left = wantsToStart = false;
    tell(t("The job could not be made: {reason}", { reason: error.message }));
    chosen.draw();
  }
}

function showSecret(job) {
  byId("secret-text").textContent = job.webhook_secret;
  byId("secret-on").href = job.links.html;
  byId("secret").addEventListener("cancel", (event) => event.preventDefault());
  byId("secret-copy").addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(job.webhook_secret);
      byId("secret-copy").textContent = t("Copied");
    } catch {
      getSelection().selectAllChildren(byId("secret-text"));
    }
  });
  byId("secret").showModal();
}

function tell(problem) {
  byId("problem").textContent = problem;
  byId("problem").hidden = !problem;
}

function drawSource() {
  for (const name of ["files", "job", "s3"]) if (byId(`from-${name}`)) byId(`from-${name}`).hidden = source() !== name;
  if (source() !== "files") byId("lost-hint").hidden = true;
  chosen.draw();
}

restoreFields(() => chosen.draw());
byId("model").addEventListener("change", () => chosen.draw());
byId("priority").addEventListener("change", () => chosen.draw());
for (const radio of form.elements.source) radio.addEventListener("change", drawSource);
document.addEventListener("source:changed", () => chosen.draw());
document.addEventListener("estimate:refused", () => chosen.draw());
byId("drop-lost").addEventListener("click", () => chosen.removeLost());
byId("clear").addEventListener("click", () => {
  key = keys();
  wantsToStart = false;
  chosen.clear();
});
form.addEventListener("submit", async (event) => {
  event.preventDefault();
  tell("");
  const wrong = [...form.elements].find((field) => field.willValidate && !field.checkValidity());
  if (wrong) {
    wrong.closest("details")?.setAttribute("open", "");
    wrong.reportValidity();
    return;
  }
  try {
    readLabels();
  } catch (error) {
    byId("more").setAttribute("open", "");
    tell(error.message);
    return;
  }
  wantsToStart = true;
  chosen.draw();
  if (source() === "job") start({ source: earlierJob().source });
  if (source() === "s3") {
    try {
      await start({ items: await takeFromS3(key, maxItems) });
    } catch (error) {
      wantsToStart = false;
      tell(error.message);
      chosen.draw();
    }
  }
});
addEventListener("beforeunload", (event) => {
  const underWay = chosen.entries.some((entry) => entry.state === "waiting" || entry.state === "sending");
  if (!left && (underWay || (!draft && chosen.entries.length))) event.preventDefault();
});
drawSource();
restore().catch(() => chosen.note(t("What was chosen here before could not be brought back."), true)).finally(begin);
