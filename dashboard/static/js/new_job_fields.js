// What is said about a new job besides its recordings: name, labels, priority, and where its end is told.
import { byId } from "./chosen_files.js";
import { t } from "./words.js";

const MOST_LABELS = 16;
const KEPT = "new-job"; // fields outlive a reload, too
const FIELDS = ["name", "model", "priority", "webhook"];

// Raises an Error for people where a label cannot be kept.
export function readLabels() {
  const labels = {};
  for (const row of byId("labels").children) {
    const [name, value] = [...row.querySelectorAll("input")].map((field) => field.value.trim());
    if (!name && !value) continue;
    if (!name) throw new Error(t("The label “{value}” has no name.", { value }));
    if (name.includes("=")) throw new Error(t("The name of a label cannot have a “=” in it."));
    if (Object.hasOwn(labels, name)) throw new Error(t("The label “{name}” is given twice.", { name }));
    labels[name] = value;
  }
  return labels;
}

export function aboutJob() {
  return {
    name: byId("name").value,
    priority: Number(byId("priority").value) || 0,
    labels: readLabels(),
    ...(byId("webhook").value.trim() ? { webhook_url: byId("webhook").value.trim() } : {}),
  };
}

export function restoreFields(changed) {
  byId("add-label").addEventListener("click", () => addRow("", "").querySelector("input").focus());
  let kept = {};
  try {
    kept = JSON.parse(sessionStorage.getItem(KEPT)) ?? {};
  } catch { /* what another version of this page kept */ }
  for (const id of FIELDS) {
    const field = byId(id);
    const isThere = field.tagName !== "SELECT" || [...field.options].some((option) => option.value === kept[id]);
    if (kept[id] && isThere) field.value = kept[id];
  }
  for (const [name, value] of kept.labels ?? []) addRow(name, value);
  if (kept.labels?.length || kept.webhook || (kept.priority && kept.priority !== "0")) byId("more").open = true;
  byId("new-job").addEventListener("input", keep);
  byId("new-job").addEventListener("change", () => { keep(); changed(); });
}

function keep() {
  const labels = [...byId("labels").children].map((row) => [...row.querySelectorAll("input")].map((field) => field.value));
  const fields = Object.fromEntries(FIELDS.map((id) => [id, byId(id).value]));
  sessionStorage.setItem(KEPT, JSON.stringify({ ...fields, labels }));
}

function addRow(name, value) {
  const row = document.createElement("div");
  row.className = "label-row";
  row.innerHTML = '<input type="text" maxlength="64" autocomplete="off"><input type="text" maxlength="500" autocomplete="off">' +
    '<button class="icon-button" type="button"><svg aria-hidden="true"><use href="#i-stop"/></svg></button>';
  const [first, second] = row.querySelectorAll("input");
  [first.placeholder, second.placeholder] = [t("name"), t("value")];
  [first.ariaLabel, second.ariaLabel] = [t("Name of the label"), t("Value of the label")];
  row.querySelector("button").ariaLabel = t("Remove this label");
  [first.value, second.value] = [name, value];
  row.querySelector("button").addEventListener("click", () => {
    row.remove();
    byId("add-label").hidden = false;
    byId("add-label").focus();
    keep();
  });
  byId("labels").append(row);
  byId("add-label").hidden = byId("labels").children.length >= MOST_LABELS;
  return row;
}
