// What is known of one face, in words: how it was made, of what, by which model.
import { writeTimes } from "./base.js";
import { locale, number, t } from "./words.js";

const STATES = {
  pending: t("Waiting"), leased: t("Drawing"), done: t("Drawn"), cached: t("Drawn before"), failed: t("No face"),
  skipped: t("Left out"), cancelled: t("Cancelled"),
};
const seconds = new Intl.NumberFormat(locale, { style: "unit", unit: "second", maximumFractionDigits: 2 });

export function writeFacts(list, item) {
  list.replaceChildren();
  const made = item.origin;
  add(list, t("Your name for it"), item.key);
  add(list, t("State"), STATES[item.state] ?? item.state);
  add(list, t("Why"), item.error && `${item.error.message} (${item.error.code})`);
  add(list, t("Length"), item.duration_seconds && seconds.format(item.duration_seconds));
  add(list, t("Model"), made && link(`/models/${encodeURIComponent(made.model)}`, made.model));
  add(list, t("Seed"), made && String(made.seed));
  add(list, t("Drawn"), made && when(made.drawn_at));
  add(list, t("Drawn in"), made?.job_id && !location.pathname.endsWith(made.job_id) && link(`/jobs/${made.job_id}`, made.job_name));
  add(list, t("Drawn on"), made?.device);
  add(list, t("Work"), made ? seconds.format(made.seconds) : item.seconds && seconds.format(item.seconds));
  add(list, t("Attempts"), item.attempts > 1 && number(item.attempts));
  add(list, t("Finished"), !made && when(item.finished_at));
  add(list, t("Recording"), item.recording && hash(item.recording));
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
