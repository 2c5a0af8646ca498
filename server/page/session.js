// Who is logged in, where the server asks for that.

import { Problem, beginSession, endSession, session } from "./api.js";

const dialog = document.querySelector("#login");
const form = dialog.querySelector("form");
const failure = dialog.querySelector(".failure");
const own = dialog.querySelector("#login-own");
const [name, password, newPassword] = ["name", "password", "new"].map((id) => dialog.querySelector(`#login-${id}`));
const person = document.querySelector("#person");

let current = { asks: false, person: null, reason_characters: 0 };

/** The session as the server told it last. */
export function now() {
  return current;
}

/** Return once the server lets this browser in: at once where it asks nobody, or after a login. */
export async function letIn() {
  take(await session());
  if (!current.asks || current.person) return;
  failure.hidden = true;
  if (!dialog.open) dialog.showModal();
  await new Promise((resolve) => dialog.addEventListener("close", resolve, { once: true }));
}

function take(told) {
  current = told;
  person.hidden = !told.asks || !told.person;
  person.querySelector("span").textContent = told.person ? `${told.person.name}, ${told.person.role}` : "";
}

function askForOwnPassword(asked) {
  own.hidden = !asked;
  newPassword.required = asked;
  newPassword.value = "";
}

async function logIn() {
  failure.hidden = true;
  try {
    take(await beginSession(name.value, password.value, newPassword.value));
    form.reset();
    askForOwnPassword(false);
    dialog.close();
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
    if (problem.kind === "password-change-required" && own.hidden) {
      askForOwnPassword(true);
      newPassword.focus();
      return;
    }
    failure.textContent = `${problem.title}: ${problem.message}`;
    failure.hidden = false;
  }
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  logIn();
});
// Nothing can be seen without a login, so there is nothing to go back to.
dialog.addEventListener("cancel", (event) => event.preventDefault());
document.querySelector("#logout").addEventListener("click", async () => {
  await endSession();
  location.reload();
});
