// Whose session this page belongs to, and whether the service answers it. What is wrong is said once and stays for as
// long as it lasts, however often a page asks by itself.
import { t } from "./words.js";

const meta = (name) => document.querySelector(`meta[name="${name}"]`)?.content ?? "";
const viewer = meta("viewer");
const AWAY_AFTER = 6000; // a restart, or a stream that is begun anew, is no news
const GATEWAY = [502, 503, 504];

// Proves to the service that a request comes from a page of ours; another tab may bring a newer one.
export let csrf = meta("csrf");

let away = 0;
let isAway = false;
let trouble = ""; // "", "out" or "other": what is wrong with the session

const tabs = "BroadcastChannel" in window ? new BroadcastChannel("voicesketch-session") : null;
tabs?.addEventListener("message", ({ data }) => {
  if (!viewer) return;
  if (data.viewer === viewer) {
    csrf = data.csrf;
    for (const field of document.querySelectorAll('input[name="csrf_token"]')) field.value = csrf;
  }
  settle(data.viewer === viewer ? "" : data.viewer ? "other" : "out");
});
// A page that could not be made says nothing of the session; the one that asks people to sign in does.
if (viewer || location.pathname === "/sign-in") tabs?.postMessage({ viewer, csrf });

// To be called with the status of every answer, and with 0 where there was none.
export function answered(status) {
  if (status === 401 && viewer) settle("out");
  if (status !== 0 && !GATEWAY.includes(status)) {
    clearTimeout(away);
    away = 0;
    if (isAway) show(isAway = false);
  } else if (!isAway) {
    away ||= setTimeout(() => show(isAway = true), AWAY_AFTER);
  }
}

function settle(what) {
  if (what === trouble) return;
  trouble = what;
  show();
}

function show() {
  document.getElementById("session-note")?.remove();
  const note = trouble === "out" ? said(t("You were signed out."), t("Sign in again"), wayIn(), true)
    : trouble === "other" ? said(t("Somebody else has signed in with this browser."), t("Reload this page"), location.href)
    : isAway ? said(t("The service does not answer. What is shown here may be old; it is asked again by itself.")) : null;
  if (note) document.getElementById("toasts").prepend(note);
}

// In a tab of its own, so that nothing that was written here is lost.
function said(text, words, address, inNewTab = false) {
  const note = document.createElement("p");
  note.id = "session-note";
  note.className = "toast toast-lasting";
  note.append(text);
  if (!words) return note;
  const link = document.createElement("a");
  link.href = address;
  link.textContent = words;
  if (inNewTab) [link.target, link.rel] = ["_blank", "noopener"];
  note.append(" ", link);
  return note;
}

function wayIn() {
  return `/sign-in?${new URLSearchParams({ next: location.pathname + location.search + location.hash })}`;
}

// What stands behind a # is not told to the service, and would be lost on the way.
const next = document.querySelector('.sign-in input[name="next"]');
if (next && location.hash && !next.value.includes("#")) next.value += location.hash;
