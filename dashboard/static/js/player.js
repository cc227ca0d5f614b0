// One player for all tiles. It lies over the page, so that starting it moves nothing.
import { toast } from "./base.js";
import { t } from "./words.js";

const player = document.getElementById("player");
const audio = document.getElementById("audio");
let address = "";

function mark() {
  const playing = !player.hidden && !audio.paused;
  for (const button of document.querySelectorAll(".play")) {
    const mine = playing && button.dataset.audio === address;
    if (button.getAttribute("aria-pressed") !== String(mine)) button.setAttribute("aria-pressed", String(mine));
  }
}

function close() {
  audio.pause();
  player.hidden = true;
  mark();
}

document.addEventListener("click", (event) => {
  const button = event.target.closest(".play");
  if (!button) return;
  if (button.dataset.audio === address && !player.hidden) {
    if (audio.paused) audio.play().catch(() => {});
    else audio.pause();
    return;
  }
  address = button.dataset.audio;
  document.getElementById("player-name").textContent = button.dataset.name;
  audio.src = address;
  player.hidden = false;
  audio.play().catch(() => {});
});
document.getElementById("player-close").addEventListener("click", close);
document.addEventListener("keydown", (event) => { if (event.key === "Escape" && !player.hidden) { event.preventDefault(); close(); } });
for (const name of ["play", "pause", "ended"]) audio.addEventListener(name, mark);
for (const name of ["htmx:after:swap", "gallery:shown"]) document.addEventListener(name, mark);
audio.addEventListener("error", () => {
  if (player.hidden) return;
  close();
  toast(t("This browser cannot play that recording."));
});
