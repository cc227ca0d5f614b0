// Landmarks over a face: where the model that drew it put jaw, brows, nose, eyes and mouth. They are asked for only while
// they are wanted, which this browser remembers.
import { toast } from "./base.js";
import { t } from "./words.js";

const KEPT = "voicesketch-landmarks";
const SVG = "http://www.w3.org/2000/svg";
// The lines through the 68 points of iBUG: first, last, and whether the end meets the beginning.
const LINES = [
  [0, 16], [17, 21], [22, 26], [27, 30], [31, 35], [36, 41, true], [42, 47, true], [48, 59, true], [60, 67, true],
];

// What is put over the picture of a lightbox, and the button for it; `show` takes the item that is looked at.
export function landmarksOver(face) {
  const frame = document.createElement("div");
  frame.className = "lightbox-frame";
  const overlay = document.createElementNS(SVG, "svg");
  overlay.setAttribute("class", "landmarks");
  overlay.setAttribute("preserveAspectRatio", "xMidYMid slice"); // as the picture under it
  overlay.setAttribute("role", "img");
  overlay.setAttribute("aria-label", t("Landmarks of the drawn face"));
  const said = document.createElement("p");
  said.className = "landmarks-said";
  said.textContent = t("Where the model put the parts of the face it drew. Nothing here was measured of the person who speaks.");
  frame.append(face, overlay, said);
  const button = document.createElement("button");
  button.type = "button";
  button.className = "button";
  button.textContent = t("Landmarks");
  button.setAttribute("aria-keyshortcuts", "L");
  let wanted = false;
  try { wanted = localStorage.getItem(KEPT) === "on"; } catch { /* storage may be forbidden */ }
  let shown = null;

  async function draw() {
    const item = shown;
    button.hidden = !item?.landmarks_url;
    button.setAttribute("aria-pressed", String(wanted));
    overlay.replaceChildren();
    overlay.toggleAttribute("hidden", true);
    said.hidden = button.hidden || !wanted; // at once, so that nothing moves from face to face
    if (said.hidden) return;
    const answer = await fetch(item.landmarks_url).catch(() => null);
    const told = answer?.ok ? await answer.json().catch(() => null) : null;
    if (shown !== item || !wanted) return; // another face, or another mind, meanwhile
    // Faces from before models told landmarks have none, which is no fault.
    button.hidden = answer?.status === 404;
    said.hidden = !told;
    if (!told) {
      if (!button.hidden) toast(t("The service does not answer. Try again."));
      return;
    }
    overlay.setAttribute("viewBox", `-0.5 -0.5 ${told.width} ${told.height}`);
    overlay.append(...marks(told.points));
    overlay.toggleAttribute("hidden", false);
  }

  function toggle() {
    if (button.hidden) return;
    wanted = !wanted;
    try { localStorage.setItem(KEPT, wanted ? "on" : "off"); } catch { /* it lasts for this page then */ }
    draw();
  }

  button.addEventListener("click", toggle);
  draw();
  return {
    frame,
    button,
    toggle,
    show(item) {
      shown = item;
      frame.hidden = !item.face_url;
      draw();
    },
  };
}

function marks(points) {
  const place = ([x, y]) => `${x},${y}`;
  const lines = LINES.map(([first, last, closed]) => {
    const line = document.createElementNS(SVG, closed ? "polygon" : "polyline");
    line.setAttribute("points", points.slice(first, last + 1).map(place).join(" "));
    return line;
  });
  const dots = points.map(([x, y]) => {
    const dot = document.createElementNS(SVG, "circle");
    dot.setAttribute("cx", x);
    dot.setAttribute("cy", y);
    dot.setAttribute("r", 1.1);
    return dot;
  });
  // Each line twice: dark under light is seen on every skin, and on white.
  return [...lines.map((line) => line.cloneNode()), ...lines, ...dots].map((mark, at) => {
    if (at < lines.length) mark.setAttribute("class", "under");
    return mark;
  });
}
