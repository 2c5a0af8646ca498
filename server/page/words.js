// How numbers, moments and problems are written.

const UNITS = ["B", "kB", "MB", "GB", "TB"];
const ENDS = /[.?!…]$/;

/** The last moment that can be asked of, as a field has it. */
export const LAST_MOMENT = "9999-01-01T00:00";

export function bytes(count) {
  let unit = 0;
  while (count >= 1000 && unit < UNITS.length - 1) {
    count /= 1000;
    unit += 1;
  }
  return `${unit === 0 || count >= 100 ? Math.round(count) : count.toFixed(1)} ${UNITS[unit]}`;
}

export function percent(score) {
  return `${Math.round(score * 100)} %`;
}

export function plural(count, one, many = `${one}s`) {
  return `${count} ${count === 1 ? one : many}`;
}

/** How long, in seconds, in the largest unit that fits. */
export function lasting(seconds) {
  if (seconds < 60) return `${Math.round(seconds)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 48 * 3600) return `${Math.floor(seconds / 3600)} h`;
  return `${Math.floor(seconds / 86400)} days`;
}

/** How long ago, in words. */
export function ago(moment) {
  const seconds = Math.max(0, (Date.now() - new Date(moment)) / 1000);
  if (seconds < 2) return "now";
  if (seconds < 3600) return `${lasting(seconds)} ago`;
  return at(moment);
}

/** A `Problem` in a line: what is wrong, what more is known of it, and what to do where the page knows that. */
export function inFull({ title, message }, remedy = "") {
  const joint = ENDS.test(title) ? " " : /^\p{Lu}/u.test(message) ? ". " : ": ";
  return [title + joint + stopped(message), remedy && stopped(remedy)].filter(Boolean).join(" ");
}

/** A sentence with the stop at its end that it may lack. */
export function stopped(text) {
  return !text || ENDS.test(text) ? text : `${text}.`;
}

/** Milliseconds of a moment as addresses and fields have it; NaN where it is none that anything can be asked of. */
export function timeOf(text) {
  const time = Date.parse(text);
  return time >= 0 && time < Date.parse(LAST_MOMENT) ? time : NaN;
}

/** A moment in the reader's own zone: the time alone when it is today. */
export function at(moment) {
  const date = new Date(moment);
  return date.toDateString() === new Date().toDateString() ? date.toLocaleTimeString() : date.toLocaleString();
}
