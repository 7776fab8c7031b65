// Words, times and sizes in the reader's language. A language is one file, `words.<language>.js`, with a text for each
// key; the daemon tells the page which there are, and only the one that is wanted is loaded.

import { h } from "./dom.js";

const KEPT = "tributary.language";
/** Those that there are words for. */
export const LANGUAGES = document.documentElement.dataset.languages.split(" ");

/** The language that was chosen, else the first of the browser's that there is. */
export const language = [localStorage.getItem(KEPT), ...navigator.languages.map((tag) => tag.split("-")[0])]
  .find((one) => LANGUAGES.includes(one)) ?? "en";
const { words } = await import(`./words.${language}.js`);
document.documentElement.lang = language === "zh" ? "zh-CN" : language;
const plurals = new Intl.PluralRules(document.documentElement.lang);

/** A box with all languages, each by its own name. */
export function languageBox() {
  return h("select.language", { "aria-label": say("language"), on: { change: (event) => {
    localStorage.setItem(KEPT, event.target.value);
    location.reload();
  } } }, LANGUAGES.map((one) => h("option", { value: one, selected: one === language }, new Intl.DisplayNames([one], { type: "language" }).of(one))));
}

/**
 * The words for a key, with `{name}` filled in, and `{name:one|many}` the form that the number wants; a key without
 * words stands for itself.
 */
export function say(key, values = {}) {
  return (words[key] ?? key)
    .replace(/\{(\w+):([^|}]*)\|([^}]*)\}/g, (_, name, one, many) => (plurals.select(values[name]) === "one" ? one : many))
    .replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
}

/** Are there words for a key? */
export const known = (key) => key in words;

const relative = new Intl.RelativeTimeFormat(document.documentElement.lang, { numeric: "auto", style: "narrow" });
const absolute = new Intl.DateTimeFormat(document.documentElement.lang, { dateStyle: "medium", timeStyle: "short" });
const STEPS = [["day", 86400], ["hour", 3600], ["minute", 60]];

/** "5 min. ago". */
export function ago(time) {
  const seconds = (new Date(time) - Date.now()) / 1000;
  for (const [unit, size] of STEPS) {
    if (Math.abs(seconds) >= size) return relative.format(Math.trunc(seconds / size), unit);
  }
  return relative.format(0, "minute");
}

/** The whole date and time. */
export const moment = (time) => absolute.format(new Date(time));

/** How long ago, or ahead, as the page keeps saying it while time passes; the whole time on hovering. */
export const when = (time, words) => h("time", { datetime: time, title: moment(time), data: { says: words ?? "" } }, words ? say(words, { when: ago(time) }) : ago(time));

/** Says all of them anew. */
export function passTime() {
  for (const element of document.querySelectorAll("time[data-says]")) {
    const { says } = element.dataset;
    element.textContent = says ? say(says, { when: ago(element.dateTime) }) : ago(element.dateTime);
  }
}

/** "3 h 20 min" of seconds. */
export function span(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  if (minutes < 2880) return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
  return say("days", { n: Math.round(minutes / 1440) });
}

/** "1.2 MB". */
export function bytes(count) {
  const units = ["B", "KB", "MB", "GB"];
  let at = 0;
  while (count >= 1000 && at < units.length - 1) {
    count /= 1000;
    at += 1;
  }
  return `${count >= 10 || at === 0 ? Math.round(count) : count.toFixed(1)} ${units[at]}`;
}
