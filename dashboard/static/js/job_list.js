// The list of jobs: filters change the address and the rows without a new page, and what moves is shown by itself.
import { listen } from "./news.js";
import { tn } from "./words.js";

const form = document.getElementById("filters");
const rows = () => document.getElementById("rows");
const said = document.getElementById("announce");
let asked = 0;
let soon = 0;

function address() {
  const fields = new URLSearchParams();
  for (const [name, value] of new FormData(form)) {
    const field = form.elements[name];
    const usual = field instanceof HTMLSelectElement ? field.options[0].value : "";
    if (value.trim() && value !== usual) fields.set(name, value.trim());
  }
  return fields;
}

async function refresh() {
  const query = location.search;
  await htmx.ajax("GET", `${form.dataset.rows}${query}`, { target: "#rows", swap: "outerMorph" });
}

// One question at a time, and not more than one a second, however much moves.
function refreshSoon() {
  if (!form) return location.reload();
  if (soon) return;
  soon = setTimeout(async () => {
    await refresh();
    soon = 0;
  }, 400);
}

function narrow() {
  const fields = address().toString();
  history.replaceState(null, "", fields ? `?${fields}` : location.pathname);
  clearTimeout(asked);
  asked = setTimeout(async () => {
    await refresh();
    const count = rows().querySelectorAll(".job").length;
    said.textContent = rows().querySelector("#next-page")
      ? tn("{count} job fits on this page.", "{count} jobs fit on this page.", count)
      : tn("{count} job fits.", "{count} jobs fit.", count);
  }, 250);
}

if (form) {
  form.classList.add("by-itself");
  form.addEventListener("input", narrow);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    narrow();
  });
}

listen(rows().dataset.seen, { jobs: refreshSoon, back: () => form && refreshSoon() });
