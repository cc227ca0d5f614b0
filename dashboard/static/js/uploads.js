// Sends files, four at a time: small ones in one piece, large ones in parts that are gone on with after a break, and
// parts straight into the store where browsers reach it. What the surroundings spoil is tried again.
import { signedOut } from "./ask.js";
import { answered, csrf } from "./session.js";
import { t } from "./words.js";

const PARALLEL = 4;
const TRIES = 6;
const LONGEST_PAUSE = 30000;
// As large as the parts of the service (core/incoming/uploads.py): what fits into one needs no second request.
const ONE_PIECE = 8 * 2 ** 20;
const LINKS_AT_ONCE = 10;
const pause = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));

// A recording that cannot be sent becomes an item with the reason, so that the rest of the job still runs.
export class CannotSend extends Error {
  constructor(code, message) { super(message); this.code = code; }
}

class TryAgain extends Error {
  constructor(after = 0) { super("try_again"); this.after = after; }
}

export class Uploads {
  #waiting = [];
  #active = 0;

  // `changed(entry)` is called whenever an entry moved: waiting, sending, sent, failed.
  constructor(changed) { this.changed = changed; }

  add(entry) {
    Object.assign(entry, { state: "waiting", share: 0, code: undefined, message: undefined });
    this.#waiting.push(entry);
    this.#next();
  }

  clear() {
    for (const entry of this.#waiting) entry.state = "removed";
    this.#waiting = [];
  }

  #next() {
    while (this.#active < PARALLEL && this.#waiting.length) {
      const entry = this.#waiting.shift();
      if (entry.state === "removed") continue;
      this.#active += 1;
      this.#send(entry).finally(() => { this.#active -= 1; this.#next(); });
    }
  }

  async #send(entry) {
    entry.state = "sending";
    this.changed(entry);
    try {
      await readable(entry.file);
      if (entry.file.size > ONE_PIECE) await this.#inParts(entry);
      else if (entry.archive) entry.unpacked = await this.#ask(entry, "POST", "/api/v1/archives", entry.file);
      else entry.recording = (await this.#ask(entry, "PUT", "/api/v1/recordings", entry.file)).recording;
      if (entry.state !== "removed") entry.state = "sent";
    } catch (error) {
      if (entry.state !== "removed") entry.state = "failed";
      entry.code = error.code ?? "upload_failed";
      entry.message = error instanceof CannotSend ? error.message : t("It could not be sent: the service did not answer.");
    }
    entry.share = 1;
    this.changed(entry);
  }

  async #inParts(entry) {
    const { file } = entry;
    const path = "/api/v1/uploads";
    const begun = await this.#ask(entry, "POST", path, {
      name: (entry.path ?? file.name).slice(-1000), size_bytes: file.size, fingerprint: fingerprint(entry), archive: Boolean(entry.archive),
    });
    entry.upload = `${path}/${begun.id}`;
    const bytesOf = (number) => Math.min(begun.part_bytes, file.size - (number - 1) * begun.part_bytes);
    const here = new Set(begun.sent);
    let bytes = [...here].reduce((sum, number) => sum + bytesOf(number), 0);
    const missing = Array.from({ length: begun.parts }, (_, index) => index + 1).filter((number) => !here.has(number));
    let links = begun.direct ? new Map() : null;
    for (const number of missing) {
      const start = (number - 1) * begun.part_bytes;
      const piece = file.slice(start, start + bytesOf(number));
      const told = (loaded) => { entry.share = (bytes + loaded) / file.size; };
      if (links && !links.has(number)) links = await this.#links(entry, missing.slice(missing.indexOf(number), missing.indexOf(number) + LINKS_AT_ONCE));
      // Where the store does not take it from here (its rules for other origins, a proxy), it goes through the service.
      if (!links || !(await this.#direct(entry, links.get(number), piece, told))) {
        links = null;
        await this.#ask(entry, "PUT", `${entry.upload}/parts/${number}`, piece, told);
      }
      bytes += piece.size;
      told(0);
      this.changed(entry);
    }
    if (entry.archive) {
      entry.unpacked = await this.#ask(entry, "POST", `${entry.upload}/unpack`);
      this.forget(entry);
    } else entry.recording = (await this.#ask(entry, "POST", `${entry.upload}/complete`)).recording;
    entry.upload = null;
  }

  async #links(entry, numbers) {
    const { links } = await this.#ask(entry, "POST", `${entry.upload}/links`, { parts: numbers });
    return new Map(links.map((link) => [link.number, link.url]));
  }

  async #direct(entry, url, piece, told) {
    try {
      const request = await this.#once(entry, "PUT", url, piece, told, {});
      return request.status === 200;
    } catch (error) {
      if (entry.state === "removed") throw error;
      return false;
    }
  }

  // Throws away what the service has of an entry that nobody wants any more.
  forget(entry) {
    if (!entry.upload) return;
    fetch(entry.upload, { method: "DELETE", headers: { "X-CSRF-Token": csrf } }).catch(() => {}); // else it is swept away in time
    entry.upload = null;
  }

  // Asks until there is an answer that will not change by asking again.
  async #ask(entry, method, path, body, told = (loaded) => { entry.share = loaded / Math.max(1, entry.file.size); }) {
    for (let attempt = 1; ; attempt += 1) {
      try {
        const isFile = body instanceof Blob;
        const headers = { "X-CSRF-Token": csrf, ...(body ? { "Content-Type": isFile ? "application/octet-stream" : "application/json" } : {}) };
        const request = await this.#once(entry, method, path, isFile || !body ? body : JSON.stringify(body), isFile ? told : () => {}, headers);
        const { status, response: answer } = request;
        if (status >= 200 && status < 300 && answer) return answer;
        if (status >= 500 || status === 429 || status === 0) throw new TryAgain(1000 * (Number(request.getResponseHeader("Retry-After")) || 0));
        if (status === 401) {
          answered(401);
          throw new CannotSend("signed_out", signedOut());
        }
        throw new CannotSend(answer?.code ?? "upload_failed", answer?.detail ?? t("The service refused it."));
      } catch (error) {
        if (!(error instanceof TryAgain) || attempt >= TRIES || entry.state === "removed") throw error;
        this.changed(entry);
        if (!navigator.onLine) await new Promise((back) => addEventListener("online", back, { once: true }));
        await pause(Math.max(error.after, Math.min(LONGEST_PAUSE, 500 * 2 ** attempt) * (0.75 + Math.random() / 2)));
        await readable(entry.file);
      }
    }
  }

  #once(entry, method, url, body, told, headers) {
    return new Promise((yes, no) => {
      const request = new XMLHttpRequest(); // fetch() does not tell how much of a body is sent
      entry.abort = () => request.abort();
      request.open(method, url);
      for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
      if (headers["X-CSRF-Token"]) request.responseType = "json"; // the store answers in XML, or not at all
      request.upload.addEventListener("progress", (event) => {
        told(event.loaded);
        this.changed(entry);
      });
      request.addEventListener("load", () => yes(request));
      for (const name of ["error", "abort", "timeout"]) request.addEventListener(name, () => no(new TryAgain()));
      request.send(body);
    });
  }
}

// What a file is known by after a reload: its bytes cannot be asked before it is chosen again.
export const identityOf = (file, path) => `${path}|${file.size}|${file.lastModified}`;

// The same in at most 200 characters, with the end of the name for people who look at the ledger.
function fingerprint(entry) {
  const text = entry.identity ?? identityOf(entry.file, entry.path ?? entry.file.name);
  let [high, low] = [0x811c9dc5, 0x01000193];
  for (const sign of text) {
    const code = sign.codePointAt(0);
    high = Math.imul(high ^ code, 0x01000193) >>> 0;
    low = Math.imul(low + code, 0x85ebca6b) >>> 0;
  }
  return `${high.toString(36)}${low.toString(36)}|${entry.file.size}|${entry.file.lastModified}|${entry.file.name.slice(-100)}`.slice(0, 200);
}

// Asks for one byte first: a file that vanished or may not be read would look like a broken connection.
async function readable(file) {
  if (!file.size) return;
  try {
    await file.slice(0, 1).arrayBuffer();
  } catch {
    throw new CannotSend("unreadable_file", t("The file could not be read: it was moved, changed, or may not be opened."));
  }
}
