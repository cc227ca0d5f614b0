// How many recordings a job brought to an end over time. The chart and what draws it are fetched when it is opened.
import { locale, t, tn } from "./words.js";

const box = document.getElementById("pace");
const draw = box?.querySelector(".pace-draw");
const words = box?.querySelector(".pace-words");
const exact = new Intl.NumberFormat(locale, { maximumSignificantDigits: 3 });
const REST = 5000;

let plot = null;
let told = null;
let asked = 0;

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

function drawn() {
  if (window.uPlot) return Promise.resolve();
  return new Promise((done, failed) => {
    const sheet = document.createElement("link");
    sheet.rel = "stylesheet";
    sheet.href = box.dataset.sheet;
    const script = document.createElement("script");
    script.src = box.dataset.script;
    script.addEventListener("load", done);
    script.addEventListener("error", failed);
    document.head.append(sheet, script);
  });
}

// Each step as a flat piece of its rate; the last point closes the last piece.
function columns({ start, seconds, counts }) {
  const begin = Date.parse(start) / 1000;
  const at = counts.map((_, step) => begin + step * seconds);
  const rates = counts.map((count) => count / seconds);
  return [[...at, begin + counts.length * seconds], [...rates, rates.at(-1) ?? 0]];
}

function show() {
  plot?.destroy();
  plot = null;
  if (!told?.start) {
    words.textContent = t("Nothing has been brought to an end yet.");
    return;
  }
  const data = columns(told);
  const most = Math.max(...data[1]);
  const all = told.counts.reduce((sum, count) => sum + count, 0);
  const mean = all / (told.seconds * told.counts.length);
  words.textContent = tn(
    "{count} brought to an end, {mean} per second on average, {most} at most.",
    "{count} brought to an end, {mean} per second on average, {most} at most.",
    Math.round(all), { mean: exact.format(mean), most: exact.format(most) },
  );
  const [muted, line, face] = ["--muted", "--line", "--face"].map(colour);
  const axis = { stroke: muted, font: "12px system-ui, sans-serif", grid: { stroke: line, width: 1 }, ticks: { show: false } };
  plot = new uPlot({
    width: Math.max(120, draw.clientWidth),
    height: draw.clientHeight,
    legend: { show: false },
    cursor: { drag: { x: false, y: false }, points: { show: false } },
    scales: { y: { range: [0, Math.max(most * 1.1, 0.001)] } },
    axes: [{ ...axis, size: 34 }, { ...axis, size: 52, values: (_, ticks) => ticks.map((tick) => exact.format(tick)) }],
    series: [{}, { stroke: face, width: 1.5, fill: `${face}33`, paths: uPlot.paths.stepped({ align: 1 }), points: { show: false } }],
    hooks: {
      setCursor: [({ cursor }) => {
        const rate = cursor.idx === null || cursor.idx === undefined ? null : data[1][cursor.idx];
        box.querySelector(".pace-here").textContent = rate === null ? "" : t("{rate} per second then", { rate: exact.format(rate) });
      }],
    },
  }, data, draw);
}

async function read() {
  const answer = await fetch(box.dataset.pace);
  if (!answer.ok) return;
  told = await answer.json();
  show();
}

// While the job runs, its news come every second or so; the chart follows at its ease.
function followSoon() {
  if (!box.open || asked) return;
  asked = setTimeout(async () => {
    await read().catch(() => {});
    asked = 0;
  }, REST);
}

if (box) {
  box.addEventListener("toggle", async () => {
    if (!box.open) return;
    try {
      await drawn();
      await read();
    } catch {
      words.textContent = t("The chart could not be loaded. Close it and open it again.");
    }
  });
  new ResizeObserver(() => plot?.setSize({ width: Math.max(120, draw.clientWidth), height: draw.clientHeight })).observe(draw);
  new MutationObserver(() => { if (plot) show(); }).observe(document.documentElement, { attributeFilter: ["data-theme"] });
  document.addEventListener("htmx:after:swap", followSoon);
}
