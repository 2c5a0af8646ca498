// Who is logged in, where the server asks for that.

import { Problem, get, onUnauthenticated, send } from "./api.js";
import { inFull } from "./words.js";

const ADDRESS = "/v1/session";

const dialog = document.querySelector("#login");
const form = dialog.querySelector("form");
const failure = dialog.querySelector(".failure");
const own = dialog.querySelector("#login-own");
const [name, password, newPassword] = ["name", "password", "new"].map((id) => dialog.querySelector(`#login-${id}`));
const line = document.querySelector("#person");

let told = { asks: false, person: null, reason_characters: 500 };

/** The session as the server told it last. A server that asks nobody allows everything. */
export const session = {
  get asks() {
    return told.asks;
  },
  get person() {
    return told.person;
  },
  get reason_characters() {
    return told.reason_characters;
  },
  get humanViews() {
    return !told.asks || Boolean(told.person?.human_views);
  },
  get admin() {
    return !told.asks || told.person?.role === "admin";
  },
};

let letting = null;
let lost = () => {};
let changed = () => {};

/** Return once the server lets this browser in: at once where it asks nobody, or after a login. */
export function letIn() {
  letting ??= enter().finally(() => (letting = null));
  return letting;
}

/** `listener` is called when the session has ended. */
export function onLost(listener) {
  lost = listener;
}

/** `listener` is called when somebody logged in after the session had ended. */
export function onChange(listener) {
  changed = listener;
}

async function enter() {
  take(await get(ADDRESS));
  if (!told.asks || told.person) return;
  failure.hidden = true;
  if (!dialog.open) dialog.showModal();
  await new Promise((resolve) => dialog.addEventListener("close", resolve, { once: true }));
}

function take(document_) {
  told = document_;
  line.hidden = !told.asks || !told.person;
  line.querySelector("span").textContent = told.person ? `${told.person.name}, ${told.person.role}` : "";
  for (const link of document.querySelectorAll("[data-role=admin]")) link.hidden = !session.admin;
}

function askForOwnPassword(asked) {
  own.hidden = !asked;
  newPassword.required = asked;
  newPassword.value = "";
}

async function logIn() {
  failure.hidden = true;
  const login = { name: name.value, password: password.value };
  if (newPassword.value) login.new_password = newPassword.value;
  try {
    take(await send("POST", ADDRESS, login));
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
    failure.textContent = inFull(problem);
    failure.hidden = false;
  }
}

onUnauthenticated(() => {
  if (dialog.open || letting) return;
  lost();
  comeBack();
});

async function comeBack() {
  try {
    await letIn();
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
    setTimeout(comeBack, 2000);
    return;
  }
  changed();
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  logIn();
});
// Nothing can be seen without a login, so there is nothing to go back to.
dialog.addEventListener("cancel", (event) => event.preventDefault());
document.querySelector("#logout").addEventListener("click", async () => {
  await send("DELETE", ADDRESS);
  location.reload();
});
