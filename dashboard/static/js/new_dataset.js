// The page that asks for a dataset: files are sent with their paths, and the button makes a preparation of them.
import { ask } from "./ask.js";
import { ChosenFiles, byId, couldNotBeRead, newKey, size, takeFiles } from "./chosen_files.js";
import { CannotSend } from "./uploads.js";
import { number, t, tn } from "./words.js";

// What a dataset is made of (core/datasets/layouts/source.py) and the tables that speak of it; all else is named, and not sent.
const MEDIA = /\.(3gp|aac|ac3|aifc?|aiff|amr|au|avi|caf|flac|m4[ab]|mk[av]|mov|mp[234]|mpga|og[ag]|opus|rf64|snd|spx|w64|wave?|webm|wma|avif|bmp|gif|jfif|jp2|jpe?g?|p[gnp]m|png|tiff?|webp|npy)$/i;
const TABLE = /\.(csv|tsv|jsonl|txt)$/i;

const form = byId("new-dataset");
const maxBytes = Number(form.dataset.maxBytes);
const maxItems = Number(form.dataset.maxItems);

let beside = new Set(); // paths of files that are not sent
let wantsToStart = false;
let left = false;
let once = newKey();

const chosen = new ChosenFiles((total) => tn("{count} file", "{count} files", total), drawTotals);

function take({ files, unreadable }) {
  if (unreadable.length) chosen.note(couldNotBeRead(unreadable), true);
  const seen = files.filter((one) => !one.path.split("/").some((part) => part.startsWith(".")));
  const known = new Set([...beside, ...chosen.entries.map((entry) => entry.path)]);
  const fresh = seen.filter((one) => !known.has(one.path));
  if (fresh.length < seen.length) chosen.note(tn("{count} file was chosen before.", "{count} files were chosen before.", seen.length - fresh.length));
  const isSent = (one) => MEDIA.test(one.file.name) || TABLE.test(one.file.name);
  const wanted = fresh.filter(isSent);
  if (chosen.entries.length + wanted.length > maxItems) {
    chosen.note(t(
      "A dataset takes at most {most} files here. From a shell, one of any size can be prepared: {command}",
      { most: number(maxItems), command: "voicesketch prepare --local" },
    ), true);
    return;
  }
  for (const one of fresh) if (!isSent(one)) beside.add(one.path);
  wanted.sort((a, b) => a.path.localeCompare(b.path, undefined, { numeric: true }));
  for (const one of wanted) {
    const problem = one.file.size > maxBytes ? new CannotSend("too_large", t("This file is larger than {size}.", { size: size(maxBytes) })) : null;
    chosen.add({ key: one.path, path: one.path, file: one.file }, problem);
  }
  if (beside.size) {
    note("files-beside", tn(
      "{count} file that is neither media nor a table will be named in the report.",
      "{count} files that are neither media nor tables will be named in the report.",
      beside.size,
    ));
  }
  suggestName();
  chosen.draw();
}

// One note that says how many there are so far, rather than one for each drop.
function note(id, text) {
  const item = byId(`note-${id}`);
  if (item) item.textContent = text;
  else {
    chosen.note(text);
    byId("notes").lastElementChild.id = `note-${id}`;
  }
}

function suggestName() {
  const first = chosen.entries[0]?.path.split("/");
  if (!byId("name").value && first?.length > 1) byId("name").value = first[0].replace(/[^A-Za-z0-9._-]+/g, "-").replace(/^[^A-Za-z0-9]+/, "").slice(0, 80);
}

// A folder that holds everything is the dataset itself, unless what lies in it then lies in no folder at all.
function withoutTop(paths) {
  const top = paths[0]?.split("/")[0];
  if (!paths.every((path) => path.startsWith(`${top}/`))) return (path) => path;
  const inner = paths.map((path) => path.slice(top.length + 1));
  const cut = inner.some((path) => path.includes("/") || TABLE.test(path));
  return (path) => (cut ? path.slice(top.length + 1) : path);
}

function recipe() {
  const ticked = (name) => [...form.querySelectorAll(`input[name="${name}"]:checked`)].map((box) => box.value);
  const value = (id) => byId(id).value;
  const [voices, faces] = [ticked("voice"), ticked("face")];
  const words = (text) => text.split(",").map((word) => word.trim()).filter(Boolean);
  return {
    voice: voices.length ? { features: voices, max_clips: value("max-clips") ? Number(value("max-clips")) : null } : null,
    face: faces.length ? {
      outputs: faces,
      crop: value("crop"),
      size: Number(value("size")),
      several: value("several"),
      encoder: faces.includes("embedding") ? value("encoder") : null,
    } : null,
    split: {
      train: Number(value("train")) / 100,
      validation: Number(value("validation")) / 100,
      test: Number(value("test")) / 100,
      by: words(value("by")),
      seed: Number(value("seed")),
      keep: byId("keep").checked,
    },
    both_sides: !byId("one-sided").checked,
  };
}

function columns() {
  return Object.fromEntries(byId("columns").value.split(",").filter((pair) => pair.trim()).map((pair) => {
    const [what, ...name] = pair.split("=");
    return [what.trim(), name.join("=").trim()];
  }));
}

function drawTotals({ total, ended, failed }) {
  const button = byId("submit");
  button.disabled = !total || wantsToStart;
  byId("submit-hint").textContent = !total ? t("Choose a folder.")
    : wantsToStart && ended < total ? t("Starts as soon as everything is sent.")
    : ended < total ? t("Files are being sent. You need not wait for it.")
    : failed ? t("What could not be sent is named in the report, with the reason.") : "";
  if (wantsToStart && ended === total) start();
}

async function start() {
  if (left) return;
  left = true;
  const paths = [...chosen.entries.map((entry) => entry.path), ...beside];
  const cut = withoutTop(paths);
  const files = chosen.entries.map((entry) => ({
    path: cut(entry.path),
    ...(entry.state === "sent" ? { recording: entry.recording } : { error_code: entry.code.slice(0, 40), error_message: entry.message.slice(0, 1000) }),
  }));
  for (const path of beside) files.push({ path: cut(path) });
  try {
    const wanted = {
      name: byId("name").value,
      layout: byId("layout").value,
      columns: columns(),
      faces: byId("origin").checked ? "origin" : "masked",
      recipe: recipe(),
      files,
    };
    const job = await ask("POST", "/api/v1/datasets", wanted, { "Idempotency-Key": once });
    location.assign(job.links.html);
  } catch (error) {
    left = wantsToStart = false;
    once = newKey();
    chosen.note(t("It cannot be prepared so: {reason}", { reason: error.message }), true);
    byId("notes").lastElementChild.scrollIntoView({ block: "center" });
  }
}

function drawEncoder() {
  const wanted = form.querySelector('input[name="face"][value="embedding"]').checked;
  if (byId("encoder-field")) byId("encoder-field").hidden = !wanted;
}

takeFiles(take, { whole: true });
byId("clear").addEventListener("click", () => {
  beside = new Set();
  wantsToStart = false;
  chosen.clear();
});
for (const box of form.querySelectorAll('input[name="face"]')) box.addEventListener("change", drawEncoder);
drawEncoder();
form.addEventListener("submit", (event) => {
  event.preventDefault();
  // Whatever is wrong may lie in the folded settings.
  const wrong = [...form.elements].find((field) => !field.checkValidity());
  if (wrong) {
    wrong.closest("details")?.setAttribute("open", "");
    wrong.reportValidity();
    return;
  }
  wantsToStart = true;
  chosen.draw();
});
addEventListener("beforeunload", (event) => {
  if (chosen.entries.length && !left) event.preventDefault();
});
