// Sample pictures of a training, by epoch: a slider, arrow keys, and the newest one unless somebody looks at another.
import { number, t } from "./words.js";

const byId = (id) => document.getElementById(id);

export class Samples {
  constructor(base) {
    this.base = base; // address of the job's files
    this.box = byId("samples");
    this.slider = byId("sample-at");
    this.picture = byId("sample");
    this.shown = "";
    this.take([...byId("sample-list").children].map(({ dataset }) => ({ name: dataset.name, sha: dataset.sha, step: dataset.step })));
    this.slider.addEventListener("input", () => this.show(Number(this.slider.value)));
    byId("sample-before").addEventListener("click", () => this.move(-1));
    byId("sample-after").addEventListener("click", () => this.move(1));
    this.box.addEventListener("keydown", (event) => {
      const way = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (!way || event.target === this.slider) return;
      event.preventDefault();
      this.move(way);
    });
  }

  take(files) {
    const follows = !this.files?.length || Number(this.slider.value) === this.files.length - 1;
    this.files = files;
    const none = !files.length;
    byId("samples-none").hidden = !none;
    byId("sample-steer").hidden = none;
    if (none) return;
    this.slider.max = files.length - 1;
    this.show(follows ? files.length - 1 : Math.min(Number(this.slider.value), files.length - 1));
  }

  move(by) {
    this.show(Math.max(0, Math.min(this.files.length - 1, Number(this.slider.value) + by)));
  }

  show(at) {
    this.slider.value = at;
    const { name, sha, step } = this.files[at];
    const epoch = /epoch-0*(\d+)/.exec(name)?.[1];
    const said = { step: number(Number(step)), epoch, name: name.split("/").pop() };
    const words = epoch
      ? (step ? t("epoch {epoch}, step {step}", said) : t("epoch {epoch}", said))
      : (step ? t("{name}, step {step}", said) : said.name);
    this.slider.setAttribute("aria-valuetext", words);
    byId("sample-before").disabled = at === 0;
    byId("sample-after").disabled = at === this.files.length - 1;
    const address = `${this.base}/${name.split("/").map(encodeURIComponent).join("/")}`;
    if (this.shown === address + sha) return;
    this.shown = address + sha;
    byId("sample-words").textContent = words;
    const label = t("Samples of {where}: what they should look like, beside what was drawn", { where: words });
    byId("sample-link").href = address;
    byId("sample-link").setAttribute("aria-label", label); // the picture itself says it only once it is there
    // The picture before stays until the next one is there, so nothing flickers or jumps.
    const next = new Image();
    next.src = `${address}?v=${sha}`;
    next.decode().then(() => {
      if (this.shown !== address + sha) return;
      this.picture.src = next.src;
      this.picture.alt = label;
      this.picture.width = next.naturalWidth;
      this.picture.height = next.naturalHeight;
      this.picture.hidden = false;
    }, () => { /* the next news brings another try */ this.shown = ""; });
    if (at > 0) new Image().src = `${this.base}/${this.files[at - 1].name.split("/").map(encodeURIComponent).join("/")}?v=${this.files[at - 1].sha}`;
  }
}
