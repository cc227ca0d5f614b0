// The form of a schedule: shows when an expression fires while it is typed, and sends what was chosen as JSON.
import { ask } from "./ask.js";
import { locale, t } from "./words.js";

const byId = (id) => document.getElementById(id);
const value = (id) => byId(id).value.trim();
const form = byId("schedule-form");
const name = form.dataset.name;
const before = form.dataset.template ? JSON.parse(form.dataset.template) : null;
const mine = Intl.DateTimeFormat().resolvedOptions().timeZone;
if (!value("zone")) byId("zone").value = mine || "UTC";

// Of several questions under way, only the answer to the newest is shown.
let asked = 0;
async function preview() {
  const number = ++asked;
  const box = byId("preview");
  const [cron, zone] = [value("cron"), value("zone")];
  let [words, times, bad] = [t("Without an expression, it fires for new pairs alone."), [], false];
  if (cron) {
    try {
      const told = await ask("POST", "/api/v1/schedules/preview", { cron, time_zone: zone || "UTC" });
      [words, times] = [told.words, told.next];
    } catch (error) {
      [words, bad] = [error.message.replace(/^\w+: (Value error, )?/, ""), true];
    }
  }
  if (number !== asked) return;
  box.classList.toggle("preview-bad", bad);
  byId("cron-words").textContent = words;
  byId("next").replaceChildren(...times.map((one) => row(one, zone)));
}

function row(one, zone) {
  const item = document.createElement("li");
  const at = new Date(one.at);
  const written = (timeZone) => at.toLocaleString(locale, { timeZone, weekday: "short", day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit" });
  item.append(line(written(zone || "UTC")));
  if (zone !== mine) item.append(line(t("{time} with you", { time: written(mine) }), "muted"));
  return item;
}

function line(text, kind = "") {
  const span = document.createElement("span");
  span.className = kind;
  span.textContent = text;
  return span;
}

function explain() {
  byId("preset-why").textContent = byId("preset").selectedOptions[0]?.dataset.why || "";
  const metric = [...byId("metrics").options].find((one) => one.value === value("metric"));
  byId("metric-why").textContent = metric ? metric.dataset.title : value("metric") ? "" : t("Nothing: there is no gate, and nothing is promoted.");
  byId("promote").disabled = !value("metric");
}

function template() {
  const training = { ...(before?.training ?? {}), model: value("model") };
  const preset = byId("preset").value;
  if (preset && preset !== before?.training.preset) {
    training.preset = preset;
    delete training.recipe;
    delete training.machine;
  }
  const metric = value("metric");
  training.after = {
    ...(before?.training.after ?? {}),
    gate: metric ? { metric, alias: value("alias") || "production" } : null,
    promote: Boolean(metric) && byId("promote").checked,
  };
  return {
    ...(before ?? {}),
    source: { ...(before?.source ?? {}), collection: byId("collection").value },
    // What is kept of voices and faces follows from the training, unless somebody said otherwise in a shell.
    training,
    warm_start: byId("warm").checked,
  };
}

function tell(text) {
  const note = document.createElement("li");
  note.className = "note-bad";
  note.textContent = text;
  byId("notes").replaceChildren(note);
  note.scrollIntoView({ block: "center" });
}

async function save() {
  byId("notes").replaceChildren();
  const wanted = {
    cron: value("cron") || null,
    time_zone: value("zone") || "UTC",
    new_pairs: value("pairs") ? Number(value("pairs")) : null,
    template: template(),
    overlap: byId("overlap").value,
    catch_up: byId("catch-up").value,
    webhook_url: value("webhook") || null,
  };
  byId("submit").disabled = true;
  try {
    const made = name
      ? await ask("PATCH", `/api/v1/schedules/${encodeURIComponent(name)}`, wanted)
      : await ask("POST", "/api/v1/schedules", { name: value("name"), ...wanted });
    if (!made.webhook_secret) return location.assign(made.links.html);
    byId("submit").hidden = true;
    byId("secret-text").textContent = made.webhook_secret;
    byId("onward").href = made.links.html;
    byId("secret").hidden = false;
    byId("onward").focus();
  } catch (error) {
    tell(error.message);
    byId("submit").disabled = false;
  }
}

let waiting;
for (const id of ["cron", "zone"]) byId(id).addEventListener("input", () => {
  clearTimeout(waiting);
  waiting = setTimeout(preview, 250);
});
for (const id of ["preset", "metric"]) byId(id).addEventListener("input", explain);
form.addEventListener("submit", (event) => {
  event.preventDefault();
  const wrong = [...form.elements].find((field) => !field.checkValidity());
  if (wrong) wrong.reportValidity();
  else save();
});
preview();
explain();
