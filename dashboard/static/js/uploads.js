// Sends files to the API, three at a time, and tries again when the surroundings fail.
import { csrf } from "./base.js";

const PARALLEL = 3;
const TRIES = 5;
const pause = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));

// A recording that cannot be sent becomes an item with the reason, so that the rest of the job still runs.
export class CannotSend extends Error {
  constructor(code, message) { super(message); this.code = code; }
}

export class Uploads {
  #waiting = [];
  #active = 0;

  // `changed(entry)` is called whenever an entry moved: waiting, sending, sent, failed.
  constructor(changed) { this.changed = changed; }

  add(entry) {
    entry.state = "waiting";
    entry.share = 0;
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
      for (let attempt = 1; ; attempt += 1) {
        try {
          entry.recording = await this.#put(entry);
          break;
        } catch (error) {
          if (error instanceof CannotSend || attempt >= TRIES || entry.state === "removed") throw error;
          entry.share = 0;
          this.changed(entry);
          await pause(500 * 2 ** attempt);
        }
      }
      if (entry.state !== "removed") entry.state = "sent";
    } catch (error) {
      if (entry.state !== "removed") entry.state = "failed";
      entry.code = error.code ?? "upload_failed";
      entry.message = error instanceof CannotSend ? error.message : "It could not be sent: the service did not answer.";
    }
    entry.share = 1;
    this.changed(entry);
  }

  #put(entry) {
    return new Promise((yes, no) => {
      const request = new XMLHttpRequest(); // fetch() does not tell how much of a body is sent
      entry.abort = () => request.abort();
      request.open("PUT", "/api/v1/recordings");
      request.setRequestHeader("X-CSRF-Token", csrf);
      request.setRequestHeader("Content-Type", "application/octet-stream");
      request.responseType = "json";
      request.upload.addEventListener("progress", (event) => {
        entry.share = event.lengthComputable ? event.loaded / Math.max(1, event.total) : 0;
        this.changed(entry);
      });
      request.addEventListener("load", () => {
        const answer = request.response;
        if (request.status === 201) yes(answer.recording);
        else if (request.status >= 500 || request.status === 429) no(new Error(`answered ${request.status}`));
        else no(new CannotSend(answer?.code ?? "upload_failed", answer?.detail ?? "The service refused it."));
      });
      for (const name of ["error", "abort", "timeout"]) request.addEventListener(name, () => no(new Error(name)));
      request.send(entry.file);
    });
  }
}

// Asks for one byte first: a file that vanished or may not be read would look like a broken connection.
async function readable(file) {
  if (!file.size) return;
  try {
    await file.slice(0, 1).arrayBuffer();
  } catch {
    throw new CannotSend("unreadable_file", "The file could not be read: it was moved, changed, or may not be opened.");
  }
}
