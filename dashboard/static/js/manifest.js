// A manifest says which of the chosen files are meant, and under which key of the user's own each comes back.
import { csrf } from "./session.js";
import { number, t, tn } from "./words.js";

const TOLD = 12;

// Answers [{line, key, path}], or throws with every bad line named. The service reads it, as it does for the shell.
export async function checkManifest(file) {
  let answer;
  try {
    answer = await fetch(`/api/v1/manifests/check?name=${encodeURIComponent(file.name.slice(-200))}`, {
      method: "POST",
      headers: { "Content-Type": "application/octet-stream", "X-CSRF-Token": csrf },
      body: file,
    });
  } catch {
    throw new Error(t("The manifest {name} could not be checked: the service did not answer.", { name: file.name }));
  }
  const told = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(told.detail ?? t("The manifest {name} could not be checked.", { name: file.name }));
  if (told.problem_count) {
    const problems = told.problems.slice(0, TOLD).map(({ line, problem }) => t("line {line} {problem}", { line: number(line), problem }));
    if (told.problem_count > TOLD) problems.push(tn("… and {count} more", "… and {count} more", told.problem_count - TOLD));
    throw new Error([t("The manifest {name} cannot be used:", { name: file.name }), ...problems].join("\n"));
  }
  return told.lines;
}

// Finds the file that a manifest calls by its whole path, by the end of it, or by its name alone where only one has it.
export function finder(files) {
  const byPath = new Map(files.map((one) => [clean(one.path), one]));
  const byName = new Map();
  for (const one of files) byName.set(one.file.name, byName.has(one.file.name) ? null : one);
  return (path) => {
    const wanted = clean(path);
    const parts = wanted.split("/");
    for (let start = 0; start < parts.length - 1; start += 1) {
      const found = byPath.get(parts.slice(start).join("/"));
      if (found) return found;
    }
    return byPath.get(wanted) ?? byName.get(parts.at(-1)) ?? null;
  };
}

const clean = (path) => path.replaceAll("\\", "/").replace(/^(\.?\/)+/, "").normalize("NFC");
