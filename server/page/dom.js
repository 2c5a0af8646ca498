// Elements, without markup in strings: what comes from cameras and people is never parsed.

import { stopped } from "./words.js";

/**
 * An element: attributes by name, listeners as `onclick` and the like, then its children. An attribute that is false,
 * null or undefined is left out.
 */
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else made.setAttribute(name, value === true ? "" : value);
  }
  append(made, children);
  return made;
}

/** Add children; lists are flattened, and what is null is left out. */
export function append(parent, children) {
  parent.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
}

/** What to show in place of content: a title, what to do, and buttons or links. `kind` is "empty" or "error". */
export function notice(kind, title, text, ...actions) {
  return element(
    "section",
    { class: `notice ${kind}`, role: kind === "error" ? "alert" : null },
    element("h2", {}, title),
    element("p", {}, text),
    actions.length > 0 && element("p", { class: "actions" }, actions),
  );
}

/** A notice for a `Problem`, with a button that tries again. */
export function failure(problem, again) {
  return notice("error", problem.title ?? "This cannot be shown", stopped(problem.message), again && retry(again));
}

function retry(again) {
  return element("button", { type: "button", onclick: again }, "Try again");
}

/** A dialog with a title. It is shown at once, and removed when it closes. */
export function dialog(title, ...content) {
  const heading = element("h2", { id: "dialog-title" }, title);
  const close = element("button", { type: "button", class: "plain close", "aria-label": "Close" }, "✕");
  const made = element("dialog", { "aria-labelledby": "dialog-title" }, element("header", {}, heading, close), content);
  close.addEventListener("click", () => made.close());
  made.addEventListener("close", () => made.remove());
  document.body.append(made);
  made.showModal();
  return made;
}
