// The page of a training, an evaluation or an analysis: fetches what is new when the job's events say so.
import { follow, isFinal, summary } from "./live.js";
import { Log } from "./log.js";
import { locale, number, t } from "./words.js";

const page = document.getElementById("job");
const isTraining = page.dataset.kind === "train";
const MOST_POINTS = 6000; // of a curve; beyond, it is read again, thinned out

const hundredths = new Intl.NumberFormat(locale, { minimumFractionDigits: 2, maximumFractionDigits: 2 });
const log = new Log(page.dataset.log);
let plots = null;
let samples = null;
let next = -1;
let epochs = { steps: [], epochs: [] };
let reading = null;
let again = false;
let told = "";

function refresh() {
  return htmx.ajax("GET", page.dataset.summary, { target: "#summary", swap: "outerMorph" });
}

// One round of reading at a time; news that come meanwhile lead to one more.
function readNews() {
  if (reading) {
    again = true;
    return reading;
  }
  reading = (async () => {
    try {
      do {
        again = false;
        await Promise.allSettled([refresh(), log.read(), readCurves(), readSamples()]);
        plots?.redraw();
      } while (again);
    } finally {
      reading = null;
    }
  })();
  return reading;
}

async function readCurves() {
  if (!plots) return;
  const anew = plots.longest > MOST_POINTS;
  const after = anew ? -1 : next;
  const answer = await fetch(`${page.dataset.curves}?after=${after}`);
  if (!answer.ok) return;
  const news = await answer.json();
  if (anew) plots.clear();
  if (after < 0) epochs = news.epochs;
  else {
    const keep = epochs.steps.findIndex((step) => step > after);
    if (keep >= 0) for (const column of [epochs.steps, epochs.epochs]) column.length = keep;
    epochs.steps.push(...news.epochs.steps);
    epochs.epochs.push(...news.epochs.epochs);
  }
  next = news.next;
  plots.take(news.series, after);
  document.getElementById("curves-none").hidden = plots.series.size > 0;
}

async function readSamples() {
  if (!samples) return;
  const answer = await fetch(`${page.dataset.files}?kind=sample`);
  if (!answer.ok) return;
  const { data } = await answer.json();
  samples.take(data.map(({ name, sha256, step }) => ({ name, step, sha: sha256.slice(0, 12) })));
}

// How far the training was at a step, between the places that are known.
function epochAt(step) {
  const { steps, epochs: values } = epochs;
  const after = steps.findIndex((one) => one >= step);
  if (after < 0) return values.at(-1);
  if (after === 0 || steps[after] === step) return values[after];
  const share = (step - steps[after - 1]) / (steps[after] - steps[after - 1]);
  return values[after - 1] + share * (values[after] - values[after - 1]);
}

// Where the second phase begins, as far as that is settled, and the best checkpoint.
function marks() {
  const found = [];
  const first = Number(page.dataset.secondPhase ?? Infinity);
  const at = epochs.epochs.findIndex((epoch) => epoch > first);
  if (at > 0) found.push({ step: epochs.steps[at], label: t("fine-tuning") });
  const best = summary().dataset.best;
  if (best) found.push({ step: Number(best), label: t("best"), strong: true });
  return found;
}

function pointAt(step) {
  const where = document.getElementById("where");
  const epoch = step === null ? undefined : epochAt(step);
  where.textContent = step === null ? ""
    : epoch === undefined ? t("step {step}", { step: number(step) })
    : t("step {step}, epoch {epoch}", { step: number(step), epoch: hundredths.format(epoch) });
}

// Said aloud at changes of state and at every tenth of the way.
function tell() {
  const bar = summary().querySelector('[role="progressbar"]');
  const state = summary().querySelector(".chip")?.textContent.trim() ?? "";
  const tenth = Math.floor(Number(bar?.getAttribute("aria-valuenow") ?? 0) / 10);
  if (`${state}${tenth}` === told) return;
  if (told) document.getElementById("announce").textContent = t("{state}, {percent} percent", { state, percent: 10 * tenth });
  told = `${state}${tenth}`;
}

if (isTraining) {
  const { Plots } = await import("./plots.js");
  const { Samples } = await import("./samples.js");
  plots = new Plots(document.getElementById("plots"), { marks, moved: pointAt });
  samples = new Samples(page.dataset.files);
  const scale = document.getElementById("log-scale");
  try { scale.checked = localStorage.getItem("log-scale") === "yes"; } catch { /* storage may be forbidden */ }
  plots.isLog = scale.checked;
  scale.addEventListener("change", () => {
    plots.setLog(scale.checked);
    try { localStorage.setItem("log-scale", scale.checked ? "yes" : "no"); } catch { /* it lasts for this page then */ }
  });
  await readCurves().catch(() => { /* the next news brings them */ });
}
tell();

const wasFinal = isFinal();
follow(page, {
  training: readNews,
  back: readNews,
  glance: refresh,
  job: async () => {
    await readNews();
    tell();
    // What an analysis drew stands in the page itself.
    if (!isTraining && !wasFinal && isFinal()) location.reload();
  },
});
document.addEventListener("htmx:after:swap", tell);
