// Recordings that need not be sent from here: those of an earlier job, and those that lie in S3.
import { ask } from "./ask.js";
import { byId, sizeOf } from "./chosen_files.js";
import { locale, number, t, tn } from "./words.js";

let found = null; // what lies at the address in S3 that was looked at

const place = () => ({ url: byId("s3-url").value.trim(), wanted: byId("model").selectedOptions[0]?.dataset.input || "voice" });
const changed = () => document.dispatchEvent(new Event("source:changed"));

export function earlierJob() {
  const option = byId("earlier")?.selectedOptions[0];
  const which = document.querySelector('input[name="which"]:checked')?.value ?? "all";
  const totals = option ? { all: option.dataset.total, failed: option.dataset.failed, faces: option.dataset.faces } : {};
  return { total: Number(totals[which] ?? 0), source: { job: option?.value, which } };
}

export const inS3 = () => found;

// Takes everything in at that address, some at a time; answers the items of the job.
export async function takeFromS3(key, most) {
  const bar = byId("s3-progress");
  const items = [];
  let after = null;
  bar.hidden = false;
  try {
    do {
      const some = await ask("POST", "/api/v1/sources/s3", { ...place(), after });
      items.push(...some.items.map((item) => ({ ...item, key: key(item.key) })));
      after = some.next;
      if (items.length > most) throw new Error(tn("A job takes at most {count} recording; there are more at this address.", "A job takes at most {count} recordings; there are more at this address.", most));
      bar.value = found?.recordings ? Math.min(1, items.length / found.recordings) : 0;
      byId("s3-found").textContent = tn("{count} taken in", "{count} taken in", items.length);
    } while (after);
  } finally {
    bar.hidden = true;
  }
  return items;
}

async function look() {
  found = null;
  byId("s3-found").className = "";
  byId("s3-found").textContent = t("Looking…");
  try {
    found = await ask("POST", "/api/v1/sources/s3/check", place());
    const { recordings, left_out: aside, size_bytes: bytes, more } = found;
    const size = sizeOf(bytes);
    byId("s3-found").textContent = [
      more
        ? tn("At least {count} recording, {size}.", "At least {count} recordings, {size}.", recordings, { size })
        : tn("{count} recording, {size}.", "{count} recordings, {size}.", recordings, { size }),
      aside ? tn("{count} other file is left out.", "{count} other files are left out.", aside) : "",
    ].filter(Boolean).join(" ");
  } catch (error) {
    byId("s3-found").className = "bad";
    byId("s3-found").textContent = error.message;
  }
  changed();
}

function drawCounts() {
  const option = byId("earlier").selectedOptions[0];
  for (const place of document.querySelectorAll("[data-which]")) place.textContent = `(${number(Number(option.dataset[place.dataset.which]))})`;
  changed();
}

if (byId("earlier")) {
  const near = new Intl.DateTimeFormat(locale, { dateStyle: "medium", timeStyle: "short" });
  for (const option of byId("earlier").options) option.textContent = option.textContent.replace(/\d{4}-\d\d-\d\d\)$/, `${near.format(new Date(option.dataset.at))})`);
  byId("earlier").addEventListener("change", drawCounts);
  for (const radio of document.querySelectorAll('input[name="which"]')) radio.addEventListener("change", changed);
  drawCounts();
}
if (byId("s3-look")) {
  byId("s3-look").addEventListener("click", look);
  byId("s3-url").addEventListener("input", () => { found = null; byId("s3-found").textContent = ""; changed(); });
  byId("s3-url").addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    event.preventDefault();
    look();
  });
}
