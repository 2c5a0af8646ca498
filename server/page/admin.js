// What the pages of admins share.

import { Problem } from "./api.js";
import { dialog, element, notice } from "./dom.js";
import { inFull } from "./words.js";

/** In place of a page that only admins have. */
export function adminsAlone(root, what) {
  root.append(
    notice(
      "empty",
      `${what} is for admins`,
      "Your role does not show it. Whoever administers this server can tell you what it says, or give you the role admin.",
      element("a", { class: "button", href: "#/" }, "Go to the wall"),
    ),
  );
  return () => {};
}

/** That a server asks nobody who they are, and how that is changed. `more` says what it means for the page. */
export function openServer(more) {
  return element(
    "section",
    { class: "card open-server", "aria-label": "Access control" },
    element("h2", {}, "Access control is off"),
    element("p", {}, `This server listens on this machine alone and asks nobody who they are. ${more}`),
    element(
      "p",
      {},
      "Start it with an access file to have users, roles, keys and camera tokens; the first start prints a one-time password for the user admin: ",
      element("code", {}, "secondsight server --access data/access.json"),
    ),
  );
}

/** A button that copies a text, and says that it has. */
export function copy(text) {
  const button = element("button", { type: "button", class: "plain", onclick: take }, "Copy");
  async function take() {
    try {
      await navigator.clipboard.writeText(text);
      button.textContent = "Copied";
    } catch {
      button.textContent = "Select it and copy it by hand";
    }
  }
  return button;
}

/** Show a secret that the server tells this once. */
export function showSecret(title, secret, explanation) {
  const made = dialog(
    title,
    element(
      "div",
      { class: "content" },
      element("p", {}, explanation),
      element("p", { class: "secret" }, element("code", { "data-secret": "" }, secret), copy(secret)),
      element("p", { class: "quiet" }, "It is shown this once and kept nowhere. If it is lost, make another."),
      element("p", { class: "bar end" }, element("button", { type: "button", class: "main", onclick: () => made.close() }, "Done")),
    ),
  );
  return made;
}

/**
 * A dialog with a form: `fields`, then a button that does `act`, which may throw a `Problem`. It closes when that is done.
 * `danger` marks what cannot be taken back.
 */
export function formDialog(title, fields, does, act, { danger = false } = {}) {
  const fault = element("p", { class: "failure", role: "alert", hidden: true });
  const go = element("button", { class: danger ? "danger" : "main" }, does);
  const form = element(
    "form",
    { onsubmit: submit },
    fields,
    fault,
    element("p", { class: "bar end" }, element("button", { type: "button", onclick: () => made.close() }, "Cancel"), go),
  );
  const made = dialog(title, form);
  async function submit(event) {
    event.preventDefault();
    fault.hidden = true;
    go.disabled = true;
    try {
      await act();
      made.close();
    } catch (problem) {
      if (!(problem instanceof Problem)) throw problem;
      fault.textContent = inFull(problem);
      fault.hidden = false;
    } finally {
      go.disabled = false;
    }
  }
  return made;
}

/** A labelled field. */
export function field(title, input, hint = "") {
  return element("label", { class: "field" }, title, input, hint && element("span", { class: "hint" }, hint));
}
