// The forms that ask for an evaluation or an analysis.
import { newKey } from "./chosen_files.js";
import { SpecForm } from "./spec_form.js";

const form = document.getElementById("spec-form");
const button = document.getElementById("submit");
const spec = new SpecForm(form);
let once = newKey();

form.addEventListener("input", (event) => {
  const box = event.target.closest(".setting-bad");
  if (!box) return;
  box.classList.remove("setting-bad");
  box.querySelector(".why").textContent = "";
});
form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const { spec: values, problems } = spec.values();
  spec.show(problems, { all: true });
  if (problems.length) return;
  button.disabled = true;
  try {
    const job = await spec.post(form.dataset.post, values, { "Idempotency-Key": once });
    location.assign(job.links.html);
  } catch (error) {
    once = newKey();
    button.disabled = false;
    // The API names the field before each sentence.
    const told = error.message.split("; ").map((one) => {
      const found = /^([a-z_.0-9]+): (.*)$/s.exec(one);
      return found ? { field: found[1], message: found[2] } : { field: "", message: one };
    });
    spec.show(told, { all: true });
  }
});
