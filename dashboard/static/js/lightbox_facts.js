// What is known of one face, in words: how it was made, of what, by which model.
import { writeTimes } from "./base.js";

const STATES = {
  pending: "Waiting", leased: "Drawing", done: "Drawn", cached: "Drawn before", failed: "No face", skipped: "Left out", cancelled: "Cancelled",
};
const seconds = new Intl.NumberFormat(undefined, { style: "unit", unit: "second", maximumFractionDigits: 2 });

export function writeFacts(list, item) {
  list.replaceChildren();
  const made = item.origin;
  add(list, "Your name for it", item.key);
  add(list, "State", STATES[item.state] ?? item.state);
  add(list, "Why", item.error && `${item.error.message} (${item.error.code})`);
  add(list, "Length", item.duration_seconds && seconds.format(item.duration_seconds));
  add(list, "Model", made && link(`/models/${encodeURIComponent(made.model)}`, made.model));
  add(list, "Seed", made && String(made.seed));
  add(list, "Drawn", made && when(made.drawn_at));
  add(list, "Drawn in", made?.job_id && !location.pathname.endsWith(made.job_id) && link(`/jobs/${made.job_id}`, made.job_name));
  add(list, "Drawn on", made?.device);
  add(list, "Work", made ? seconds.format(made.seconds) : item.seconds && seconds.format(item.seconds));
  add(list, "Attempts", item.attempts > 1 && String(item.attempts));
  add(list, "Finished", !made && when(item.finished_at));
  add(list, "Recording", item.recording && hash(item.recording));
  writeTimes(list);
}

function add(list, term, value) {
  if (!value) return;
  const [said, name] = [document.createElement("dd"), document.createElement("dt")];
  said.append(value);
  name.textContent = term;
  list.append(name, said);
}

function link(address, words) {
  const made = document.createElement("a");
  made.href = address;
  made.textContent = words;
  return made;
}

function when(at) {
  if (!at) return null;
  const time = document.createElement("time");
  time.dateTime = time.textContent = at;
  return time;
}

// Its beginning is enough to tell it from others; the whole is there to be copied.
function hash(sha256) {
  const made = document.createElement("code");
  made.title = sha256;
  made.textContent = `${sha256.slice(0, 12)}…`;
  return made;
}
