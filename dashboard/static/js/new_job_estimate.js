// Says how long the job would take, before the button is pressed: what the service measured, in its own words.
import { byId } from "./chosen_files.js";

const AFTER = 350;
let asked = "";
let timer = 0;
let asking = null;

export function estimateFor({ model, items, priority }) {
  const query = items && model ? new URLSearchParams({ model, items, priority: Number(priority) || 0 }).toString() : "";
  if (query === asked) return;
  asked = query;
  clearTimeout(timer);
  asking?.abort();
  if (!query) byId("estimate").hidden = true;
  else timer = setTimeout(() => ask(query), AFTER);
}

async function ask(query) {
  asking = new AbortController();
  try {
    const answer = await fetch(`/api/v1/estimate?${query}`, { signal: asking.signal });
    if (!answer.ok) throw new Error(answer.status);
    byId("estimate").textContent = (await answer.json()).sentence;
    byId("estimate").hidden = false;
  } catch (error) {
    if (error.name === "AbortError") return;
    byId("estimate").hidden = true; // a guess is worth no message; the next change asks again
    asked = "";
  }
}
