// Says how long the job would take, or why it would be refused, before the button is pressed, in the service's words.
import { byId } from "./chosen_files.js";

const AFTER = 350;
let asked = "";
let timer = 0;
let asking = null;
let refused = "";

// Whether what was asked about last would be refused.
export const isRefused = () => Boolean(refused);

function tellRefused(reason) {
  refused = reason;
  byId("refused").textContent = reason;
  byId("refused").hidden = !reason;
}

export function estimateFor({ model, items, priority }) {
  const query = items && model ? new URLSearchParams({ model, items, priority: Number(priority) || 0 }).toString() : "";
  if (query === asked) return;
  asked = query;
  clearTimeout(timer);
  asking?.abort();
  tellRefused("");
  if (!query) byId("estimate").hidden = true;
  else timer = setTimeout(() => ask(query), AFTER);
}

async function ask(query) {
  asking = new AbortController();
  try {
    const answer = await fetch(`/api/v1/estimate?${query}`, { signal: asking.signal });
    if (!answer.ok) throw new Error(answer.status);
    const told = await answer.json();
    byId("estimate").textContent = told.cost ? `${told.sentence} ${told.cost.sentence}` : told.sentence;
    byId("estimate").hidden = Boolean(told.refused);
    if (!told.refused) return;
    tellRefused(told.refused);
    document.dispatchEvent(new Event("estimate:refused"));
  } catch (error) {
    if (error.name === "AbortError") return;
    byId("estimate").hidden = true; // a guess is worth no message; the next change asks again
    asked = "";
  }
}
