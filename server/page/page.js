// The console: which page is shown, by the part of the address behind #.

import { Problem } from "./api.js";
import { element, failure, notice } from "./dom.js";
import { live } from "./live.js";
import { letIn, onChange, onLost, session } from "./session.js";
import { mayLeave } from "./unsaved.js";
import { inFull, plural } from "./words.js";

const ROUTES = [
  ["wall", "Wall", /^\/$/],
  ["timeline", "Timeline", /^\/cameras\/(?<camera>[^/]+)$/],
  ["timeline", "Timeline", /^\/cameras\/(?<camera>[^/]+)\/at\/(?<time>[^/]+)$/],
  ["frame", "Frame", /^\/cameras\/(?<camera>[^/]+)\/frames\/(?<frame>[^/]+)$/],
  ["overview", "Overview", /^\/overview$/],
  ["exports", "Exports", /^\/exports$/],
  ["audit", "Audit", /^\/audit$/],
  ["settings", "Settings", /^\/settings$/],
];

const main = document.querySelector("#main");
const connection = document.querySelector("#connection");
const context = { session, live };

let leave = () => {};
let shows = 0; // so that a page which took long to load does not overwrite the next one

function route() {
  const [path, query = ""] = location.hash.replace(/^#/, "").split("?", 2);
  for (const [page, title, pattern] of ROUTES) {
    const match = pattern.exec(path || "/");
    if (!match) continue;
    try {
      const parts = Object.entries(match.groups ?? {}).map(([part, text]) => [part, decodeURIComponent(text)]);
      return { page, title, parameters: { ...Object.fromEntries(parts), query: new URLSearchParams(query) } };
    } catch {
      return null; // a % that does not encode anything
    }
  }
  return null;
}

async function show() {
  const mine = ++shows;
  leave();
  leave = () => {};
  const found = route();
  const { page, title, parameters } = found ?? { page: "", title: "Not found", parameters: {} };
  document.title = [parameters.camera, title, "Secondsight"].filter(Boolean).join(" · ");
  document.documentElement.classList.toggle("kiosk", Boolean(parameters.query?.has("wall")));
  for (const link of document.querySelectorAll("nav [data-page]")) {
    if (link.dataset.page === page) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  const root = document.createElement("div");
  root.className = `page ${page}`;
  main.replaceChildren(root);
  if (!found) {
    root.append(notice("empty", "There is no such page", "Its address may be mistyped.", home()));
    return;
  }
  try {
    const { show: fill } = await import(`./${page}.js`);
    if (mine !== shows) return;
    const left = await fill(root, parameters, context);
    if (mine === shows) leave = left ?? (() => {});
    else left?.();
  } catch (problem) {
    if (mine !== shows) return;
    if (problem instanceof Problem) root.replaceChildren(failure(problem, show));
    else {
      root.replaceChildren(
        notice("error", "This page cannot be shown", "It was not loaded, or has a defect. Load it again.", again(), home()),
      );
      throw problem;
    }
  }
}

/**
 * Load the pages that were not shown yet. Later the server may be away, and a browser does not ask again for a module
 * that it could not load.
 */
function loadOthers() {
  // One that is not loaded says so when it is shown.
  for (const [page] of ROUTES) import(`./${page}.js`).catch(() => {});
}

function again() {
  return element("button", { type: "button", onclick: () => location.reload() }, "Try again");
}

function home() {
  return element("a", { class: "button", href: "#/" }, "Go to the wall");
}

function tellState({ name, detail }) {
  connection.dataset.state = name;
  if (name === "live") connection.textContent = plural(live.cameras.size, "camera");
  else connection.textContent = detail || "Connecting";
}

async function begin() {
  for (;;) {
    try {
      await letIn();
      break;
    } catch (problem) {
      if (!(problem instanceof Problem)) throw problem;
      tellState({ name: "away", detail: inFull(problem) });
      await new Promise((resolve) => setTimeout(resolve, 1000));
    }
  }
  live.on("state", tellState);
  for (const type of ["camera", "gone"]) live.on(type, () => tellState(live.state));
  live.start();
  // Nothing of what was shown stays behind the login.
  onLost(() => {
    live.stop();
    shows += 1;
    leave();
    leave = () => {};
    main.replaceChildren();
  });
  onChange(() => {
    live.start();
    show();
  });
  addEventListener("hashchange", (event) => {
    if (!mayLeave()) {
      history.pushState(null, "", event.oldURL);
      return;
    }
    show();
    // At once: when the page is filled somebody may be typing into it.
    main.focus({ preventScroll: true });
    scrollTo(0, 0);
  });
  await show().finally(loadOthers);
}

document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();
  main.focus();
});

begin();
