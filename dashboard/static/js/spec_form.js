// Reads a form whose inputs say by data-path and data-kind which value of a spec they hold, and shows problems beside them.
import { ask } from "./ask.js";
import { t } from "./words.js";

const notes = document.getElementById("notes");

class Unreadable extends Error {}

function number(text, whole) {
  const value = Number(text.replace(/\s/g, "").replace(/^([+-]?\d+),(\d+)$/, "$1.$2"));
  if (!text.trim() || Number.isNaN(value)) throw new Unreadable(t("This should be a number."));
  if (whole && !Number.isInteger(value)) throw new Unreadable(t("This should be a whole number."));
  return value;
}

// true, false, a number, several of these, or a word.
function plain(text) {
  const word = text.trim();
  if (word.includes(",")) return word.replace(/^[[(]|[\])]$/g, "").split(",").filter((one) => one.trim()).map(plain);
  if (word === "true" || word === "false") return word === "true";
  return word !== "" && !Number.isNaN(Number(word)) ? Number(word) : word;
}

function sizes(text) {
  const found = {};
  for (const line of text.split("\n").filter((one) => one.trim())) {
    const at = line.indexOf("=");
    if (at < 1) throw new Unreadable(t("Each line is a name, =, and a value; “{line}” is not.", { line: line.trim() }));
    found[line.slice(0, at).trim()] = plain(line.slice(at + 1));
  }
  return found;
}

function read(field) {
  const { kind } = field.dataset;
  if (kind === "switch") return field.checked;
  if (kind === "many") return [...field.querySelectorAll("input:checked")].map((box) => box.value);
  const text = field.value;
  if (kind === "sizes") return sizes(text);
  if (!text.trim() && "nullable" in field.dataset) return null;
  if (kind === "integer") return number(text, true);
  if (kind === "number") return number(text, false);
  if (kind === "list") return text.split(",").filter((one) => one.trim()).map((one) => number(one, false));
  return text.trim();
}

export class SpecForm {
  constructor(form) {
    this.form = form;
    this.touched = new Set();
  }

  get fields() {
    return [...this.form.querySelectorAll("[data-path]")];
  }

  // The values as nested objects, and what cannot even be read.
  values() {
    const spec = {};
    const problems = [];
    const left = [...this.form.querySelectorAll("[data-given]")].filter((box) => !box.checked).map((box) => box.dataset.given);
    for (const field of this.fields) {
      const { path } = field.dataset;
      if (left.some((group) => path.startsWith(`${group}.`))) continue;
      try {
        put(spec, path, read(field));
      } catch (error) {
        if (!(error instanceof Unreadable)) throw error;
        problems.push({ field: path, message: error.message });
      }
    }
    for (const group of left) put(spec, group, null);
    return { spec, problems };
  }

  // Beside the field, or the nearest thing above it that has a place for words, or at the button.
  show(problems, { all = false } = {}) {
    for (const why of this.form.querySelectorAll(".why")) why.textContent = "";
    for (const bad of this.form.querySelectorAll(".setting-bad")) bad.classList.remove("setting-bad");
    for (const field of this.fields) field.removeAttribute("aria-invalid");
    notes.replaceChildren();
    let first = null;
    for (const { field, message } of problems) {
      if (!all && !this.touched.has(field) && !this.isFilled(field)) continue;
      const box = this.boxOf(field);
      const why = box?.querySelector(".why") ?? this.form.querySelector(`.why[data-for="${CSS.escape(field)}"]`);
      if (why) {
        why.textContent = why.textContent ? `${why.textContent} ${message}` : message;
        box?.classList.add("setting-bad");
        const input = box?.querySelector("[data-path]");
        input?.setAttribute("aria-invalid", "true");
        if (all) why.closest("details")?.setAttribute("open", "");
        first ??= input ?? why;
      } else {
        const note = document.createElement("li");
        note.className = "note-bad";
        note.textContent = message;
        notes.append(note);
        first ??= note;
      }
    }
    if (all && first) {
      for (let fold = first.closest("details"); fold; fold = fold.parentElement.closest("details")) fold.open = true;
      if (first.focus && first.matches("input, select, textarea")) first.focus();
      first.scrollIntoView({ block: "center" });
    }
    return first;
  }

  // Nobody is told that a field is empty before they had a chance to fill it in.
  isFilled(path) {
    const field = this.form.querySelector(`[data-path="${CSS.escape(path)}"]`);
    return !field || (field.value ?? "x") !== "";
  }

  boxOf(path) {
    for (let at = path; at; at = at.slice(0, Math.max(0, at.lastIndexOf(".")))) {
      const box = this.form.querySelector(`[data-at="${CSS.escape(at)}"]`);
      if (box) return box;
    }
    return null;
  }

  post(address, body, headers = {}) {
    return ask("POST", address, body, headers);
  }
}

function put(into, path, value) {
  const parts = path.split(".");
  const last = parts.pop();
  for (const part of parts) into = into[part] ??= {};
  into[last] = value;
}
