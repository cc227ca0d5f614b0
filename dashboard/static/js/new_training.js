// The form that asks for a training: the preset fills it in, the API checks it while it is changed.
import { toast, writeTimes } from "./base.js";
import { newKey } from "./chosen_files.js";
import { answered } from "./session.js";
import { SpecForm } from "./spec_form.js";
import { t, tn } from "./words.js";

// No input may be named `dataset`: it would hide the form's own.
const form = document.getElementById("spec-form");
const button = document.getElementById("submit");
const hint = document.getElementById("submit-hint");
const name = document.getElementById("model");
const spec = new SpecForm(form);

let given = new Map(); // values as the preset has them
let named = "";
let waiting = 0;
let asked = 0;
let once = newKey();

function chosen(what) {
  return form.querySelector(`input[name="${what}"]:checked`);
}

function body() {
  const { spec: values, problems } = spec.values();
  values.dataset = chosen("dataset-version")?.value ?? "";
  values.recipe = { ...values.recipe, task: document.getElementById("settings").dataset.task };
  if (!values.dataset) problems.push({ field: "dataset", message: t("Choose a dataset.") });
  return { values, problems };
}

// What is wrong, as the form and then the API tell it; null where a newer question was asked meanwhile.
async function check() {
  const turn = (asked += 1);
  const { values, problems } = body();
  if (!problems.length) {
    try {
      problems.push(...(await spec.post(form.dataset.check, values)).problems);
    } catch (error) {
      problems.push({ field: "", message: error.message });
    }
  }
  return turn === asked ? problems : null;
}

async function checkSoon() {
  clearTimeout(waiting);
  waiting = setTimeout(async () => {
    const problems = await check();
    if (!problems) return;
    spec.show(problems);
    hint.textContent = problems.length ? "" : t("Everything fits.");
  }, 300);
}

// Says of each folded group how many of its values are no longer the preset's.
function markChanges() {
  for (const field of spec.fields) {
    const changed = given.has(field.dataset.path) && given.get(field.dataset.path) !== valueOf(field);
    field.closest(".setting")?.classList.toggle("setting-changed", changed);
  }
  for (const group of form.querySelectorAll(".group")) {
    const count = group.querySelectorAll(".setting-changed").length;
    group.querySelector(".changed").textContent = count ? tn("{count} changed", "{count} changed", count) : "";
  }
}

function valueOf(field) {
  if (field.dataset.kind === "switch") return String(field.checked);
  return field.value;
}

function remember() {
  given = new Map([...document.querySelectorAll("#settings [data-path]")].map((field) => [field.dataset.path, valueOf(field)]));
  const preset = chosen("preset");
  // The name follows the preset until somebody writes one.
  if (name.value === named) name.value = named = preset.dataset.model;
  document.querySelector("#chosen-preset b").textContent = preset.closest(".pick").querySelector("b").textContent;
  markChanges();
}

async function changePreset() {
  const dataset = chosen("dataset-version")?.value;
  history.replaceState(null, "", `?preset=${encodeURIComponent(chosen("preset").value)}`);
  const address = `${form.dataset.settings}?preset=${encodeURIComponent(chosen("preset").value)}`;
  const answer = await fetch(address, { headers: { "HX-Request": "true" } }).catch(() => null);
  answered(answer?.status ?? 0);
  if (!answer?.ok) return toast(t("The service did not answer properly. Choose it again."));
  const made = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("settings");
  const open = new Set([...form.querySelectorAll("#settings .group[open]")].map((group) => group.dataset.group));
  for (const group of made.querySelectorAll(".group")) group.open = open.has(group.dataset.group);
  document.getElementById("settings").replaceWith(document.adoptNode(made));
  writeTimes(document.getElementById("settings"));
  spec.touched.clear();
  pickDataset(dataset);
  remember();
  checkSoon();
}

function pickDataset(label) {
  const fits = [...form.querySelectorAll('input[name="dataset-version"]:not(:disabled)')];
  const one = fits.find((box) => box.value === label) ?? (fits.length === 1 ? fits[0] : null);
  if (one) one.checked = true;
}

form.addEventListener("change", (event) => {
  if (event.target.name === "preset") changePreset();
  else if (event.target.name === "dataset-version" || event.target.dataset.given) checkSoon();
});
form.addEventListener("input", (event) => {
  const field = event.target.closest("[data-path]");
  if (!field) return;
  spec.touched.add(field.dataset.path);
  markChanges();
  checkSoon();
});
form.addEventListener("submit", async (event) => {
  event.preventDefault();
  clearTimeout(waiting);
  button.disabled = true;
  hint.textContent = "";
  try {
    const problems = await check();
    if (problems === null) return;
    if (problems.length) {
      spec.show(problems, { all: true });
      return;
    }
    const job = await spec.post(form.dataset.post, body().values, { "Idempotency-Key": once });
    location.assign(job.links.html);
  } catch (error) {
    once = newKey();
    spec.show([{ field: "", message: error.message }], { all: true });
  } finally {
    button.disabled = false;
  }
});

pickDataset(new URLSearchParams(location.search).get("dataset"));
remember();
