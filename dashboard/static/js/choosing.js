// Which files people mean: dropped or picked, alone or in folders of any depth, with the notes beside them left out.

// The same families of files that the shell leaves out of folders (core/submitting/intake.py).
const SIDE_FILES = /\.(csv|db|html?|ini|ipynb|jsonl?|lab|log|md|pdf|py|rst|rtf|sh|sql|sqlite|srt|tex|textgrid|toml|tsv|txt|vtt|xlsx?|xml|ya?ml|docx?|cfg|m3u8?|cue|bmp|gif|jpe?g|png|svg|tiff|webp|np[yz]|pkl|pt|gz|tar|zip|7z|md5|sha256|bak|part|tmp)$/i;
const PICTURES = /\.(avif|bmp|gif|jpe?g|jp2|png|ppm|tga|tiff?|webp)$/i;
const SIDE_NAMES = /^(authors|changelog|checksums|copying|licen[sc]e|makefile|readme)$/i;
export const MANIFEST = /\.(csv|jsonl)$/i;
export const ARCHIVE = /\.zip$/i;

// A chosen file: `path` is how people know it, `named` whether they pointed at it rather than at its folder.
const chosen = (file, path, named) => ({ file, path, named });

// With `whole`, paths begin with the folder that was chosen; without, below it.
export async function fromDrop(transfer, whole = false) {
  // Entries must all be asked for before the first wait: the browser empties the list when the event is over.
  const entries = [...transfer.items].filter((item) => item.kind === "file").map((item) => item.webkitGetAsEntry?.() ?? item.getAsFile());
  const found = { files: [], unreadable: [] };
  for (const entry of entries) {
    if (entry instanceof File) found.files.push(chosen(entry, entry.name, true));
    else if (entry) await walk(entry, entry.name, !whole || entry.isFile, found);
  }
  return found;
}

export function fromPicker(list, whole = false) {
  const files = [...list].map((file) => {
    if (whole) return chosen(file, file.webkitRelativePath || file.name, !file.webkitRelativePath);
    const inside = file.webkitRelativePath.split("/").slice(1).join("/");
    return chosen(file, inside || file.name, !inside);
  });
  return { files, unreadable: [] };
}

async function walk(entry, path, named, found) {
  try {
    if (entry.isFile) {
      found.files.push(chosen(await new Promise((yes, no) => entry.file(yes, no)), path, named));
      return;
    }
    const reader = entry.createReader();
    // A reader answers a hundred entries at a time, and an empty list at the end.
    for (;;) {
      const some = await new Promise((yes, no) => reader.readEntries(yes, no));
      if (!some.length) return;
      for (const inner of some) await walk(inner, named ? inner.name : `${path}/${inner.name}`, false, found);
    }
  } catch {
    found.unreadable.push(path);
  }
}

const isAside = (name, wanted) => (wanted === "face" ? !PICTURES.test(name) : SIDE_FILES.test(name) || SIDE_NAMES.test(name));

// Recordings, archives and manifests, and how many files are none of these. An archive in a folder is left aside.
// For a model that draws from pictures (`wanted` is "face"), of a folder only pictures are taken.
export function sort(files, wanted = "voice") {
  const sorted = { recordings: [], archives: [], manifests: [], left: 0 };
  for (const one of files) {
    const name = one.file.name;
    if (MANIFEST.test(name)) sorted.manifests.push(one);
    else if (one.named && ARCHIVE.test(name)) sorted.archives.push(one);
    else if (!one.named && (name.startsWith(".") || isAside(name, wanted))) sorted.left += 1;
    else sorted.recordings.push(one);
  }
  sorted.recordings.sort((a, b) => a.path.localeCompare(b.path, undefined, { numeric: true }));
  return sorted;
}

// Keys must differ: the second `a.wav` becomes `a.wav#2`, as in the shell.
export function keys() {
  const taken = new Set();
  const longest = 1000;
  return (wanted) => {
    const base = wanted.length <= longest ? wanted : "…" + wanted.slice(1 - longest);
    let key = base;
    for (let number = 2; taken.has(key); number += 1) key = base.slice(0, longest - `#${number}`.length) + `#${number}`;
    taken.add(key);
    return key;
  };
}
