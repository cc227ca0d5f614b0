// One face, large: beside what was heard, with its facts, a star and a note. The address of the page names it, so that
// it can be sent to somebody. A dialog of the browser's own keeps the focus inside.
import { toast } from "./base.js";
import { writeFacts } from "./lightbox_facts.js";
import { landmarksOver } from "./lightbox_landmarks.js";
import { onMark, putMark } from "./marks.js";
import { t } from "./words.js";

const page = document.getElementById("job");
const items = page.dataset.events.replace(/\/events$/, "/items");
const box = document.createElement("dialog");
box.className = "lightbox";
box.setAttribute("aria-labelledby", "lightbox-name");
const mayMark = document.getElementById("gallery").dataset.mayMark === "yes";
let shown = null;
let asked = 0;
let gallery = null;

// The gallery says what stands beside a face, and takes the keyboard back.
export function followGallery(followed) {
  gallery = followed;
}

function make(tag, className = "", text = "") {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text) made.textContent = text;
  return made;
}

function button(label, action) {
  const made = make("button", "button", label);
  made.type = "button";
  made.addEventListener("click", action);
  return made;
}

const face = make("img", "lightbox-face");
const landmarks = landmarksOver(face);
const none = make("div", "lightbox-face lightbox-none"); // where there is no face: why
none.innerHTML = '<svg aria-hidden="true"><use href="#i-head"/></svg><p></p>';
const name = make("h2");
name.id = "lightbox-name";
name.tabIndex = -1;
name.autofocus = true; // not the player, which has a use of its own for the arrow keys
const heard = make("div", "lightbox-heard");
const spectrogram = make("img");
spectrogram.alt = t("Spectrogram of the recording");
const head = make("i", "lightbox-head");
heard.append(spectrogram, head);
const sound = make("audio");
sound.controls = true;
sound.preload = "metadata";
const facts = make("dl", "lightbox-facts");
const star = button(t("Favourite"), () => mark({ favourite: star.getAttribute("aria-pressed") !== "true" }));
const note = make("textarea");
note.maxLength = 2000;
note.rows = 3;
note.readOnly = !mayMark;
star.hidden = !mayMark;
const label = make("label", "", t("Note"));
label.append(note);
const at = make("p", "lightbox-at muted figures");
const take = make("a", "button", t("Download"));
const actions = make("div", "actions");
actions.append(
  button(t("Previous"), () => step(-1)), button(t("Next"), () => step(1)), star, landmarks.button, take,
);
const side = make("div", "lightbox-side");
side.append(at, name, heard, sound, facts, label, actions);
const close = button("", () => box.close());
close.className = "icon-button lightbox-close";
close.setAttribute("aria-label", t("Close"));
close.innerHTML = '<svg aria-hidden="true"><use href="#i-stop"/></svg>';
box.append(landmarks.frame, none, side, close);
document.body.append(box);

function showMark(found) {
  star.setAttribute("aria-pressed", String(Boolean(found?.favourite)));
  if (document.activeElement !== note) note.value = found?.note ?? "";
}

async function open(id) {
  asked += 1;
  const turn = asked;
  const answer = await fetch(`${items}/${id}`).catch(() => null);
  if (!answer?.ok) {
    toast(answer ? t("That face is not here.") : t("The service does not answer. Try again."));
    return;
  }
  const item = await answer.json();
  await saveNote();
  if (turn !== asked) return; // another one was asked for meanwhile
  shown = item;
  name.textContent = item.name;
  face.hidden = !item.face_url;
  landmarks.show(item);
  none.hidden = Boolean(item.face_url);
  none.lastChild.textContent = item.error?.message ?? t("There is no face yet.");
  if (item.face_url) face.src = item.face_url;
  face.alt = t("Face guessed from {name}", { name: item.name });
  heard.hidden = !item.spectrogram_url;
  if (item.spectrogram_url) spectrogram.src = item.spectrogram_url;
  sound.pause();
  sound.hidden = !item.recording_url || item.error?.code === "empty_file";
  if (!sound.hidden) sound.src = item.recording_url;
  head.style.left = "0";
  writeFacts(facts, item);
  at.textContent = gallery?.where(id) ?? "";
  take.hidden = !item.face_url;
  if (item.face_url) take.href = item.face_url;
  take.download = item.face_name ?? "";
  note.value = item.mark?.note ?? "";
  showMark(item.mark);
  enter(`#item=${id}`);
  if (!box.open) box.showModal();
  fetchBeside(id);
}

// Opening a face is a step that Back undoes, as on a phone people go back; from face to face it stays one step.
let isStep = false;
function enter(address) {
  if (box.open || location.hash === address) return history.replaceState(null, "", address);
  history.scrollRestoration = "manual"; // whoever went on from face to face does not come back to where they began
  history.pushState(null, "", address);
  isStep = true;
}
addEventListener("popstate", () => { history.scrollRestoration = "auto"; });

function leave() {
  if (!location.hash.startsWith("#item=")) isStep = false; // Back was what closed it
  else if (isStep) history.back();
  else history.replaceState(null, "", location.pathname + location.search);
  isStep = false;
}

// The next faces are here before they are asked for.
async function fetchBeside(id) {
  for (const by of [1, -1]) {
    const next = await gallery?.beside(id, by);
    const link = next && document.querySelector(`#item-${next} .tile-open[target]`);
    if (link) new Image().src = link.href;
  }
}

async function step(by) {
  const next = await gallery?.beside(shown.id, by);
  if (next) open(next);
}

async function mark(change) {
  await putMark(items, shown.id, change);
}

async function saveNote() {
  if (shown && mayMark && note.value.trim() !== (shown.mark?.note ?? "")) await mark({ note: note.value });
}

note.addEventListener("change", saveNote);
sound.addEventListener("timeupdate", () => {
  head.style.left = `${(100 * sound.currentTime) / (sound.duration || 1)}%`;
});
// What no browser can play has no player: what is no sound at all, or is of a format of its own.
sound.addEventListener("error", () => { sound.hidden = true; });
box.addEventListener("close", async () => {
  sound.pause();
  await saveNote();
  leave();
  gallery?.focus(shown.id);
});
box.addEventListener("keydown", (event) => {
  if (event.target === note || event.target === sound) return;
  if (event.key === "ArrowLeft") step(-1);
  else if (event.key === "ArrowRight") step(1);
  else if (event.key.toLowerCase() === "l" && !event.ctrlKey && !event.metaKey && !event.altKey) landmarks.toggle();
  else return;
  event.preventDefault();
});
onMark((item, mark) => {
  if (shown?.id !== item) return;
  shown.mark = { ...shown.mark, ...mark };
  showMark(shown.mark);
});
document.addEventListener("click", (event) => {
  const link = event.target.closest("#gallery .tile-face a");
  // With a key held, the picture opens in a tab or window as any link does.
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  open(Number(link.closest(".tile").id.slice(5)));
});

function openNamed() {
  const named = /^#item=(\d+)$/.exec(location.hash);
  if (named) open(Number(named[1]));
  else if (box.open) box.close();
}
addEventListener("hashchange", openNamed);
openNamed();
