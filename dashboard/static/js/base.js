// What every page needs: times in the viewer's zone, the token of forms on requests of htmx, and short messages.

import { answered, csrf } from "./session.js";
import { locale, t } from "./words.js";

const exact = new Intl.DateTimeFormat(locale, { dateStyle: "full", timeStyle: "long" });
const near = new Intl.DateTimeFormat(locale, { dateStyle: "medium", timeStyle: "short" });
const relative = new Intl.RelativeTimeFormat(locale, { numeric: "auto" });

function words(at) {
  const minutes = Math.round((at - Date.now()) / 60000);
  if (minutes > 0) return minutes < 60 ? relative.format(minutes, "minute") : near.format(at);
  if (minutes > -1) return relative.format(0, "second");
  if (minutes > -60) return relative.format(minutes, "minute");
  if (minutes > -12 * 60) return relative.format(Math.round(minutes / 60), "hour");
  return near.format(at);
}

export function writeTimes(within = document) {
  for (const time of within.querySelectorAll("time[datetime]:not([data-clock])")) {
    const at = new Date(time.dateTime);
    if (Number.isNaN(at.valueOf())) continue;
    const text = words(at);
    if (time.textContent !== text) time.textContent = text;
    time.title = exact.format(at);
  }
}

export function toast(text) {
  const notes = document.getElementById("toasts");
  // What a page asks again and again is refused again and again; it is said once at a time.
  if ([...notes.children].some((one) => one.textContent === text)) return;
  const note = document.createElement("p");
  note.className = "toast";
  note.textContent = text;
  notes.append(note);
  setTimeout(() => note.remove(), 7000);
}

// On a phone the row of links is wider than the screen.
document.querySelector(".ways [aria-current]")?.scrollIntoView({ inline: "center", block: "nearest" });

// A menu is put away by a click beside it, and by Escape, which gives the keyboard back to its button.
document.addEventListener("click", (event) => {
  for (const menu of document.querySelectorAll("details[data-puts-away][open]")) {
    if (!menu.contains(event.target)) menu.removeAttribute("open");
  }
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  for (const menu of document.querySelectorAll("details[data-puts-away][open]")) {
    if (menu.contains(document.activeElement)) menu.querySelector("summary").focus();
    menu.removeAttribute("open");
  }
});

// A button pressed twice, as on a slow line, does what it does once; a download (`take`) may be wanted again.
const ONCE_MS = 5000;
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (event.defaultPrevented || form.method !== "post" || form.matches("[hx-post], .take")) return;
  if (form.classList.contains("sent")) {
    event.preventDefault();
    return;
  }
  form.classList.add("sent");
  setTimeout(() => form.classList.remove("sent"), ONCE_MS);
});
addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll("form.sent")) form.classList.remove("sent");
});

writeTimes();
setInterval(writeTimes, 30000);
document.addEventListener("htmx:after:swap", () => writeTimes());
document.addEventListener("htmx:config:request", (event) => {
  event.detail.ctx.request.headers["X-CSRF-Token"] = csrf;
});
document.addEventListener("htmx:after:request", ({ detail: { ctx } }) => answered(ctx.response.status));
document.addEventListener("htmx:error", ({ detail: { ctx } }) => {
  if (!ctx || ctx.response) return;
  answered(0);
  if (isChange(ctx)) toast(t("The service does not answer. Try again."));
});
document.addEventListener("htmx:response:error", ({ detail: { ctx } }) => {
  if (ctx.response.status === 401) return; // said for as long as it lasts
  // What a page asks by itself it asks again; what somebody pressed is done only when they press it again.
  if (ctx.response.status >= 500) {
    if (isChange(ctx)) toast(t("The service does not answer. Try again."));
    return;
  }
  const why = new DOMParser().parseFromString(ctx.text, "text/html");
  toast((why.querySelector(".blank .why-not") ?? why.querySelector("h1"))?.textContent ?? t("The service refused it."));
});

function isChange(ctx) {
  return (ctx.request?.method ?? "GET") !== "GET";
}

document.addEventListener("submit", (event) => {
  const question = event.target.dataset?.ask;
  if (question && !window.confirm(question)) {
    event.preventDefault();
    event.stopImmediatePropagation();
  }
}, true);
