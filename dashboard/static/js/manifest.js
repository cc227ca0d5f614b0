// A manifest says which of the chosen files are meant, and under which key of the user's own each comes back.

const KEYS = ["key", "id", "name"];
const PATHS = ["path", "file", "recording", "audio"];
const TOLD = 8;

// Answers [{key, path}], or throws with every bad line named.
export function parse(name, text) {
  const rows = /\.csv$/i.test(name) ? csv(text) : jsonl(text);
  const problems = [];
  const lines = [];
  const used = new Map();
  for (const { number, row, wrong } of rows) {
    const path = wrong ? "" : cell(row, PATHS);
    const key = wrong ? "" : (cell(row, KEYS) ?? path);
    if (wrong) problems.push(`line ${number} ${wrong}`);
    else if (!path) problems.push(`line ${number} names no file`);
    else if (!key) problems.push(`line ${number} has no key`);
    else if (key.length > 1000) problems.push(`line ${number} has a key of more than 1,000 characters`);
    else if (used.has(key)) problems.push(`line ${number} uses the key “${key}” again (first on line ${used.get(key)})`);
    else { used.set(key, number); lines.push({ key, path }); }
  }
  if (!problems.length && !lines.length) problems.push("it names no recording");
  if (problems.length) {
    const more = problems.length > TOLD ? `\n… and ${problems.length - TOLD} more` : "";
    throw new Error(`The manifest ${name} cannot be used:\n${problems.slice(0, TOLD).join("\n")}${more}`);
  }
  return lines;
}

// Finds the file that a manifest calls by its whole path, by the end of it, or by its name alone where only one has it.
export function finder(files) {
  const byPath = new Map(files.map((one) => [clean(one.path), one]));
  const byName = new Map();
  for (const one of files) byName.set(one.file.name, byName.has(one.file.name) ? null : one);
  return (path) => {
    const wanted = clean(path);
    return byPath.get(wanted) ?? files.find((one) => wanted.endsWith(`/${clean(one.path)}`) && one.path.includes("/"))
      ?? byName.get(wanted.split("/").pop()) ?? null;
  };
}

const clean = (path) => path.replaceAll("\\", "/").replace(/^(\.?\/)+/, "").normalize("NFC");

function cell(row, columns) {
  for (const column of columns) {
    if (typeof row[column] === "string") return row[column].trim();
    if (typeof row[column] === "number") return String(row[column]);
  }
  return undefined;
}

function* jsonl(text) {
  let number = 0;
  for (const line of text.split("\n")) {
    number += 1;
    if (!line.trim()) continue;
    let row;
    try { row = JSON.parse(line); } catch { yield { number, wrong: "is not JSON" }; continue; }
    if (row === null || typeof row !== "object" || Array.isArray(row)) yield { number, wrong: "is not an object" };
    else yield { number, row: Object.fromEntries(Object.entries(row).map(([name, value]) => [name.toLowerCase(), value])) };
  }
}

function* csv(text) {
  const first = text.split("\n", 1)[0];
  // Spreadsheets of half the world write semicolons.
  const separator = [",", ";", "\t"].reduce((best, sign) => (first.split(sign).length > first.split(best).length ? sign : best));
  let header = null;
  for (const { number, cells } of records(text, separator)) {
    if (!cells.some((value) => value.trim())) continue;
    if (!header) {
      header = cells.map((value) => value.trim().toLowerCase());
      if (!PATHS.some((column) => header.includes(column))) {
        yield { number, wrong: "must name the columns, as in key,file" };
        return;
      }
    } else if (cells.length > header.length) yield { number, wrong: `has ${cells.length} cells where the first line has ${header.length}` };
    else yield { number, row: Object.fromEntries(header.map((name, index) => [name, cells[index] ?? ""])) };
  }
}

function* records(text, separator) {
  let cells = [], value = "", quoted = false, line = 1, begun = 1;
  for (let at = 0; at < text.length; at += 1) {
    const sign = text[at];
    if (quoted) {
      if (sign === '"' && text[at + 1] === '"') { value += '"'; at += 1; }
      else if (sign === '"') quoted = false;
      else { if (sign === "\n") line += 1; value += sign; }
    } else if (sign === '"' && !value) quoted = true;
    else if (sign === separator) { cells.push(value); value = ""; }
    else if (sign === "\n") {
      yield { number: begun, cells: [...cells, value.replace(/\r$/, "")] };
      cells = []; value = ""; line += 1; begun = line;
    } else value += sign;
  }
  if (value || cells.length) yield { number: begun, cells: [...cells, value.replace(/\r$/, "")] };
}
