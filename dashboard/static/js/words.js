// The words that scripts write, in the language of the page. English is the message itself; of another language the
// page has fetched a catalogue (dashboard/script_words.py), which holds only what stands in `t` and `tn` here.
//
// Messages are double-quoted literals, so that they are found; values are put in for {names}.

const told = globalThis.voicesketchWords ?? { words: {}, forms: "" };
const language = document.documentElement.lang || "en";

// How dates and numbers are written: as the viewer's own region does, where it speaks the language of the page.
export const locale = navigator.languages.find((one) => one.split("-")[0] === language.split("-")[0]) ?? language;

const numbers = new Intl.NumberFormat(locale);
export const number = (value) => numbers.format(value);

export function t(text, values = {}) {
  return fill(told.words[text] ?? text, values);
}

// Of something that is counted: `{count}` is the number, as it is written here.
export function tn(one, many, count, values = {}) {
  const forms = told.words[one];
  const text = Array.isArray(forms) ? forms[formOf(count)] : count === 1 ? one : many;
  return fill(text, { count: number(count), ...values });
}

// Rules of plurals look at a number's last two digits, and at whether it is small; so two hundred numbers tell them all.
function formOf(count) {
  return Number(told.forms[count < 200 ? count : 100 + (count % 100)]);
}

function fill(text, values) {
  return text.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
}
