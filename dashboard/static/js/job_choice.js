// Choosing jobs of the list: the choice outlives every refresh of the rows, and the bar shows while there is one.
import { t, tn } from "./words.js";

const form = document.getElementById("steer");
const chosen = new Set();
let anchor = null;

function boxes() {
  return [...document.querySelectorAll(".job-choose")];
}

function paint() {
  const here = boxes();
  // What left the page, by a filter or another page, is not changed unseen.
  for (const id of chosen) if (!here.some((box) => box.value === id)) chosen.delete(id);
  for (const box of here) box.checked = chosen.has(box.value);
  form.hidden = chosen.size === 0;
  document.getElementById("steer-count").textContent = tn("{count} job", "{count} jobs", chosen.size);
  document.getElementById("steer-query").value = location.search;
}

function question() {
  if (chosen.size === 1) return t("Cancel this job? Faces already drawn are kept.");
  return tn("Cancel this {count} job? Faces already drawn are kept.", "Cancel these {count} jobs? Faces already drawn are kept.", chosen.size);
}

function clear() {
  chosen.clear();
  paint();
}

if (form) {
  form.classList.add("by-itself");
  document.addEventListener("click", (event) => {
    const box = event.target.closest?.(".job-choose");
    if (!box) return;
    const all = boxes();
    const last = all.findIndex((one) => one.value === anchor);
    const place = all.indexOf(box);
    const stretch = event.shiftKey && last >= 0 ? all.slice(Math.min(last, place), Math.max(last, place) + 1) : [box];
    for (const one of stretch) box.checked ? chosen.add(one.value) : chosen.delete(one.value);
    anchor = box.value;
    paint();
  });
  document.getElementById("steer-none").addEventListener("click", clear);
  document.getElementById("steer-cancel").addEventListener("click", (event) => {
    if (!window.confirm(question())) event.preventDefault();
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && chosen.size && !event.defaultPrevented) clear();
  });
  document.addEventListener("htmx:after:swap", paint);
  // A page that the browser brings back may bring its ticks back, too.
  for (const box of boxes()) if (box.checked) chosen.add(box.value);
  paint();
}
