// Curves, drawn with uPlot: training and validation of one term in one chart, all charts with one cursor.
import { locale, number, t } from "./words.js";

const PARTS = { train: 0, validation: 1, val: 1 };
const PART_WORDS = [t("training"), t("validation"), t("test")];
// Charts in this order; every other term stands between the loss and these.
const LAST = ["learning_rate", "samples_per_second", "memory_bytes"];
const WORDS = {
  total: t("Loss"), learning_rate: t("Learning rate"), samples_per_second: t("Samples per second"), memory_bytes: t("Memory, GB"),
  waiting_for_samples: t("Waiting for samples, share of time"), missed: t("Missed of ten, share"),
};
const [three, four] = [3, 4].map((digits) => new Intl.NumberFormat(locale, { maximumSignificantDigits: digits }));
const SCALE = { memory_bytes: 1e-9 };

// The part of the data and the term that a curve is about: "validation/total" is [1, "total"].
function parse(series) {
  const [first, ...rest] = series.split("/");
  return rest.length && first in PARTS ? [PARTS[first], rest.join("/")] : [0, rest.length ? series : first];
}

function title(term) {
  if (WORDS[term]) return WORDS[term];
  // matching.voice_to_face.10.same_gender is "Voice to face, among 10, same gender".
  const plain = term.replace(/^matching\./, "").replace(/\.(\d+)/, ", among $1").replaceAll(/[./]/g, ", ").replaceAll("_", " ");
  return plain.charAt(0).toUpperCase() + plain.slice(1);
}

export function figure(value) {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  if (size !== 0 && (size < 0.001 || size >= 1e6)) return value.toExponential(2);
  if (size >= 1000) return number(Math.round(value));
  return (size < 1 ? three : four).format(value);
}

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

export class Plots {
  // `marks()` answers vertical lines: [{step, label}].
  constructor(into, { marks, moved }) {
    this.into = into;
    this.marks = marks;
    this.moved = moved;
    this.series = new Map();
    this.charts = new Map();
    this.isLog = false;
    new MutationObserver(() => this.again()).observe(document.documentElement, { attributeFilter: ["data-theme"] });
    new ResizeObserver(() => this.fit()).observe(into);
  }

  // Takes columns in; those behind `after` take the place of what was there.
  take(columns, after) {
    for (const [name, { steps, values }] of Object.entries(columns)) {
      let known = this.series.get(name);
      if (!known) this.series.set(name, (known = { steps: [], values: [] }));
      let keep = known.steps.length;
      while (keep && known.steps[keep - 1] > after) keep -= 1;
      known.steps.length = known.values.length = keep;
      for (let at = 0; at < steps.length; at += 1) {
        known.steps.push(steps[at]);
        known.values.push(values[at]);
      }
    }
    this.draw();
  }

  clear() {
    this.series.clear();
  }

  get longest() {
    return Math.max(0, ...[...this.series.values()].map((one) => one.steps.length));
  }

  setLog(isLog) {
    this.isLog = isLog;
    this.again();
  }

  draw() {
    const terms = new Map();
    for (const name of this.series.keys()) {
      const [part, term] = parse(name);
      if (!terms.has(term)) terms.set(term, []);
      terms.get(term).push({ part, name });
    }
    const rank = (term) => (term === "total" ? -1 : LAST.includes(term) ? 1 + LAST.indexOf(term) : 0);
    const order = [...terms.keys()].sort((a, b) => rank(a) - rank(b) || a.localeCompare(b));
    for (const term of order) {
      const lines = terms.get(term).sort((a, b) => a.part - b.part);
      let chart = this.charts.get(term);
      if (!chart || chart.names !== lines.map((line) => line.name).join()) chart = this.make(term, lines, order, chart);
      chart.plot.setData(this.columns(lines, term));
      this.tell(chart, chart.plot.cursor.idx ?? null);
    }
  }

  columns(lines, term) {
    const scale = SCALE[term] ?? 1;
    const tables = lines.map(({ name }) => {
      const { steps, values } = this.series.get(name);
      // On a log scale there is no place for what is not above 0.
      return [steps, values.map((value) => (value === null || (this.isLog && value <= 0) ? null : value * scale))];
    });
    return tables.length > 1 ? uPlot.join(tables) : tables[0];
  }

  make(term, lines, order, old) {
    const card = old?.card ?? document.createElement("section");
    old?.plot.destroy();
    card.className = term === "total" ? "plot plot-main" : "plot";
    card.dataset.term = term;
    card.replaceChildren();
    const head = document.createElement("div");
    head.className = "plot-head";
    const heading = document.createElement("h3");
    heading.textContent = title(term);
    const keys = document.createElement("ul");
    keys.className = "plot-keys";
    const several = lines.length > 1;
    const values = lines.map(({ part }) => {
      const key = document.createElement("li");
      key.className = `key-${part}`;
      const line = document.createElement("i");
      const value = document.createElement("b");
      key.append(...(several ? [line, `${PART_WORDS[part]} `] : []), value);
      keys.append(key);
      return value;
    });
    head.append(heading, keys);
    const draw = document.createElement("div");
    draw.className = "plot-draw";
    draw.setAttribute("role", "img");
    draw.setAttribute("aria-label", t("Curve: {name}", { name: title(term) }));
    card.append(head, draw);
    if (!old) {
      // In its place at once: nothing that is there moves, unless it comes later in the order.
      const next = order.slice(order.indexOf(term) + 1).map((one) => this.charts.get(one)?.card).find(Boolean);
      this.into.insertBefore(card, next ?? null);
    }
    const chart = { term, lines, card, draw, values, names: lines.map((line) => line.name).join() };
    chart.plot = new uPlot(this.options(chart), this.columns(lines, term), draw);
    this.charts.set(term, chart);
    return chart;
  }

  options({ lines, draw, term }) {
    const [muted, ground, face, busy, bad] = ["--muted", "--line", "--face", "--busy", "--bad"].map(colour);
    const strokes = [face, busy, bad];
    const axis = { stroke: muted, font: "12px system-ui, sans-serif", grid: { stroke: ground, width: 1 }, ticks: { show: false } };
    const isLog = this.isLog && !LAST.slice(1).includes(term);
    return {
      width: Math.max(120, draw.clientWidth),
      height: Math.max(80, draw.clientHeight),
      legend: { show: false },
      cursor: { sync: { key: "curves", setSeries: false }, drag: { x: true, y: false }, points: { size: 6 } },
      scales: { x: { time: false }, y: { distr: isLog ? 3 : 1 } },
      axes: [
        { ...axis, size: 28, values: (plot, ticks) => ticks.map((tick) => (tick >= 10000 ? `${+(tick / 1000).toPrecision(4)}k` : Number.isInteger(tick) ? String(tick) : "")) },
        { ...axis, size: 58, values: (plot, ticks) => ticks.map((tick) => (tick === null ? null : figure(tick))) },
      ],
      series: [
        {},
        ...lines.map(({ part }) => ({
          stroke: strokes[part] ?? muted,
          width: part === 0 ? 1.5 : 2,
          spanGaps: true,
          points: { show: part > 0 ? undefined : false, size: 5 },
        })),
      ],
      hooks: {
        setCursor: [(plot) => this.point(plot)],
        drawClear: [(plot) => this.drawMarks(plot)],
      },
    };
  }

  // Phases and the best step, behind the curves.
  drawMarks(plot) {
    const { ctx, bbox } = plot;
    ctx.save();
    ctx.font = `${11 * devicePixelRatio}px system-ui, sans-serif`;
    ctx.textBaseline = "top";
    for (const { step, label, strong } of this.marks()) {
      const at = plot.valToPos(step, "x", true);
      if (at < bbox.left || at > bbox.left + bbox.width) continue;
      ctx.strokeStyle = ctx.fillStyle = colour(strong ? "--accent" : "--off");
      ctx.lineWidth = devicePixelRatio;
      ctx.setLineDash([4 * devicePixelRatio, 3 * devicePixelRatio]);
      ctx.beginPath();
      ctx.moveTo(at, bbox.top);
      ctx.lineTo(at, bbox.top + bbox.height);
      ctx.stroke();
      const room = bbox.left + bbox.width - at > ctx.measureText(label).width + 12;
      ctx.textAlign = room ? "left" : "right";
      ctx.fillText(label, at + (room ? 5 : -5) * devicePixelRatio, bbox.top + 2 * devicePixelRatio);
    }
    ctx.restore();
  }

  point(plot) {
    const step = plot.cursor.idx == null ? null : plot.data[0][plot.cursor.idx];
    for (const chart of this.charts.values()) {
      if (chart.plot === plot) this.tell(chart, plot.cursor.idx);
    }
    this.moved(step ?? null);
  }

  // Values under the cursor, or the last ones.
  tell(chart, index) {
    const data = chart.plot.data;
    chart.lines.forEach((line, number) => {
      const values = data[number + 1] ?? [];
      let at = index ?? values.length - 1;
      while (at > 0 && (values[at] === null || values[at] === undefined)) at -= 1;
      const text = figure(values[at] ?? null);
      if (chart.values[number].textContent !== text) chart.values[number].textContent = text;
    });
  }

  fit() {
    for (const { plot, draw } of this.charts.values()) {
      if (draw.clientWidth && (plot.width !== draw.clientWidth || plot.height !== draw.clientHeight)) {
        plot.setSize({ width: draw.clientWidth, height: draw.clientHeight });
      }
    }
  }

  redraw() {
    for (const { plot } of this.charts.values()) plot.redraw(false);
  }

  // Anew, in other colours or on another scale.
  again() {
    const order = [...this.charts.keys()];
    for (const [term, chart] of [...this.charts]) this.make(term, chart.lines, order, chart);
    this.draw();
  }
}
