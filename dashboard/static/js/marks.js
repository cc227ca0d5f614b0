// Stars and notes on faces: sending them, and telling the other windows and parts of the page.
import { ask } from "./ask.js";
import { toast } from "./base.js";

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
  try {
    return await ask(method, address, body);
  } catch (refused) {
    toast(refused.message);
    return null;
  }
}
