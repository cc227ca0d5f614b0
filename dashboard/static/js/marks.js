// Stars and notes on faces: sending them, and telling the other windows and parts of the page.
import { csrf, toast } from "./base.js";
import { t } from "./words.js";

const windows = "BroadcastChannel" in window ? new BroadcastChannel("voicesketch-marks") : null;
const listeners = [];

// `heard(item, mark)` is called with every mark that is new, whoever made it.
export function onMark(heard) {
  listeners.push(heard);
}

export function tellMark(item, mark) {
  for (const heard of listeners) heard(item, mark);
}

windows?.addEventListener("message", ({ data }) => tellMark(data.item, data.mark));

// The same mark on many items.
export function shareMark(items, mark) {
  for (const item of items) {
    tellMark(item, mark);
    windows?.postMessage({ item, mark });
  }
}

// `items` is the address of the job's items. Answers the mark as it is now, or nothing where it could not be kept.
export async function putMark(items, item, change) {
  const mark = await put(`${items}/${item}/mark`, change);
  if (!mark) return null;
  tellMark(item, mark);
  windows?.postMessage({ item, mark });
  return mark;
}

// Sends what goes for a JSON body, and says what went wrong.
export async function put(address, body, method = "PUT") {
  let answer = null;
  try {
    answer = await fetch(address, {
      method,
      headers: { "Content-Type": "application/json", "X-CSRF-Token": csrf },
      body: JSON.stringify(body),
    });
  } catch {
    // Said below.
  }
  if (answer?.ok) return answer.json();
  const why = answer?.status === 403
    ? t("You may look at this job, but not change it.")
    : (await answer?.json().catch(() => null))?.detail;
  toast(why ?? t("The service does not answer. Try again."));
  return null;
}
