// What was chosen and what of it is sent, kept in this browser, so that a reload loses neither. The files themselves
// cannot be kept: a page may read them only after they were chosen again, and then they are known by their identity.

const STORE = "files";
const FLUSH_AFTER = 250;

export class Draft {
  #database;
  #user;
  #changed = new Map(); // number of a row: the row, or null for one that goes
  #timer = 0;

  // The draft of this user; null where the browser keeps nothing, or another tab has it already.
  static async open(user) {
    try {
      if (navigator.locks && !(await isOurs(`voicesketch-draft-${user}`))) return null;
      const database = await new Promise((yes, no) => {
        const request = indexedDB.open("voicesketch", 1);
        request.onupgradeneeded = () => request.result.createObjectStore(STORE, { keyPath: ["user", "number"] });
        request.onsuccess = () => yes(request.result);
        request.onerror = request.onblocked = () => no(request.error);
      });
      return new Draft(database, user);
    } catch {
      return null;
    }
  }

  constructor(database, user) {
    this.#database = database;
    this.#user = user;
    addEventListener("pagehide", () => this.flush());
  }

  async rows() {
    try {
      const range = IDBKeyRange.bound([this.#user, 0], [this.#user, Number.MAX_SAFE_INTEGER]);
      const request = this.#database.transaction(STORE).objectStore(STORE).getAll(range);
      return await new Promise((yes, no) => { request.onsuccess = () => yes(request.result); request.onerror = no; });
    } catch {
      return [];
    }
  }

  keep(number, row) {
    this.#changed.set(number, { ...row, user: this.#user, number });
    this.#timer ||= setTimeout(() => this.flush(), FLUSH_AFTER);
  }

  drop(number) {
    this.#changed.set(number, null);
    this.#timer ||= setTimeout(() => this.flush(), FLUSH_AFTER);
  }

  clear() {
    this.#changed.clear();
    this.#write((files) => files.delete(IDBKeyRange.bound([this.#user, 0], [this.#user, Number.MAX_SAFE_INTEGER])));
  }

  flush() {
    clearTimeout(this.#timer);
    this.#timer = 0;
    if (!this.#changed.size) return;
    const changed = [...this.#changed];
    this.#changed.clear();
    this.#write((files) => {
      for (const [number, row] of changed) row ? files.put(row) : files.delete([this.#user, number]);
    });
  }

  #write(change) {
    try {
      change(this.#database.transaction(STORE, "readwrite").objectStore(STORE));
    } catch {
      // A browser that is out of room keeps nothing; sending goes on all the same.
    }
  }
}

// Two tabs would write over one another: the first one has the draft until it is closed. The page that a reload leaves
// behind may hold it for a moment longer.
async function isOurs(name) {
  for (const wait of [0, 100, 300]) {
    await new Promise((done) => setTimeout(done, wait));
    const ours = await new Promise((answer) => {
      navigator.locks.request(name, { ifAvailable: true }, (lock) => {
        answer(Boolean(lock));
        return lock ? new Promise(() => {}) : undefined;
      }).catch(() => answer(true));
    });
    if (ours) return true;
  }
  return false;
}
