// Settings, for admins: who is let in, what lets programs and cameras in, and the rules of cameras.

import { Problem, ask, get, ofCamera, picture, send } from "./api.js";
import { adminsAlone, field, formDialog, openServer, showSecret } from "./admin.js";
import { element, failure, notice } from "./dom.js";
import { RulesForm } from "./rules.js";
import { guard, mayLeave } from "./unsaved.js";
import { at } from "./words.js";

const TABS = { people: "People", keys: "Keys and tokens", cameras: "Rules" };
const ROLES = {
  viewer: "viewer: machine views and results",
  operator: "operator: also human views, with a reason",
  admin: "admin: also users, the audit and rules",
};
const PASSWORDS = {
  own: "own password",
  one_time: "one-time password, not used yet",
  expired: "one-time password, too old",
  none: "no password",
};

export async function show(root, parameters, { session, live }) {
  if (!session.admin) return adminsAlone(root, "What can be set");
  const query = parameters.query;
  const body = element("div", { class: "settings-body" });
  const tabs = element("nav", { class: "bar tabs", "aria-label": "Settings" });
  root.append(
    element("div", { class: "bar" }, element("h1", {}, "Settings"), tabs),
    session.asks ? "" : openServer("So there is nobody to manage; rules can be set all the same."),
    body,
  );
  let leave = () => {};
  let tab = query?.get("tab") ?? (session.asks ? "people" : "cameras");
  if (!(tab in TABS)) tab = "people";

  async function open(name) {
    leave();
    leave = () => {};
    tab = name;
    tabs.replaceChildren(
      ...Object.entries(TABS).map(([each, title]) =>
        element("button", { type: "button", "aria-pressed": String(each === tab), onclick: () => mayLeave() && go(each) }, title),
      ),
    );
    body.replaceChildren();
    try {
      const left = await { people, keys, cameras }[name]();
      if (tab === name) leave = left ?? (() => {});
      else left?.();
    } catch (problem) {
      if (!(problem instanceof Problem)) throw problem;
      body.replaceChildren(
        problem.kind === "access-off"
          ? notice("empty", "There is nobody to manage", "Access control is off on this server.")
          : failure(problem, () => open(name)),
      );
    }
  }

  function go(name, more = {}) {
    history.replaceState(null, "", `#/settings?${new URLSearchParams({ tab: name, ...more })}`);
    return open(name);
  }

  async function people() {
    const { users } = await get("/v1/users");
    const rows = users.map((user) =>
      element(
        "tr",
        { "data-user": user.name },
        element("th", { scope: "row" }, user.name, user.name === session.person?.name && element("span", { class: "quiet" }, " (you)")),
        element("td", {}, user.disabled ? element("span", { class: "failure" }, "disabled") : user.role),
        element("td", {}, user.cameras === null ? "all cameras" : user.cameras.join(", ") || "no camera"),
        element("td", { class: "quiet" }, PASSWORDS[user.password]),
        element(
          "td",
          { class: "actions" },
          element("button", { type: "button", onclick: () => change(user) }, "Change"),
          element("button", { type: "button", onclick: () => renew(user) }, "New password"),
          element("button", { type: "button", class: "danger", onclick: () => remove(user) }, "Remove"),
        ),
      ),
    );
    body.replaceChildren(
      element(
        "section",
        { class: "card" },
        element("div", { class: "bar" }, element("h2", {}, "People and programs"), element("button", { type: "button", class: "main", onclick: add }, "Add a user")),
        table("Users", ["Name", "Role", "Cameras", "Logs in with", ""], rows),
      ),
    );
  }

  function add() {
    const name = element("input", { required: true, maxlength: 64, pattern: "[A-Za-z0-9][A-Za-z0-9._@\\-]*", autocomplete: "off" });
    const access = accessFields({ role: "viewer", cameras: null }, live);
    formDialog("Add a user", [field("Name", name, "Letters, digits and ._@-"), access.fields], "Add", async () => {
      const made = await send("POST", "/v1/users", { name: name.value, ...access.value() });
      await open("people");
      tellPassword(made);
    });
  }

  async function change({ name }) {
    let user, tag;
    try {
      const response = await ask(userAddress({ name }));
      tag = response.headers.get("ETag");
      user = await response.json();
    } catch (problem) {
      if (!(problem instanceof Problem)) throw problem;
      return open("people"); // which tells what is wrong, or that the user is gone
    }
    const access = accessFields(user, live);
    const disabled = element("input", { type: "checkbox", checked: user.disabled });
    const fields = [access.fields, element("label", { class: "choice" }, disabled, "Disabled: nothing lets this user in")];
    return formDialog(`Change ${user.name}`, fields, "Save", async () => {
      // With its tag, lest a change made meanwhile at a terminal is lost.
      await send("PATCH", userAddress(user), { ...access.value(), disabled: disabled.checked }, { "If-Match": tag });
      await open("people");
    });
  }

  function renew(user) {
    const text = `${user.name}'s password and browser sessions end. API keys stay.`;
    formDialog("Make a new one-time password?", element("p", {}, text), "Make it", async () => {
      const made = await send("POST", `${userAddress(user)}/password`);
      await open("people");
      tellPassword(made);
    });
  }

  function tellPassword({ user, one_time_password: password }) {
    showSecret(`One-time password of ${user.name}`, password, `${user.name} logs in here with it until ${at(user.one_time_until)}, and chooses a password of their own.`);
  }

  function remove(user) {
    const text = `${user.name} is no longer let in, and their API keys end. What they did stays in the audit.`;
    const act = async () => {
      await send("DELETE", userAddress(user));
      await open("people");
    };
    formDialog(`Remove ${user.name}?`, element("p", {}, text), "Remove", act, { danger: true });
  }

  async function keys() {
    const [{ users }, { keys: issued }, { tokens }] = await Promise.all(["/v1/users", "/v1/api-keys", "/v1/camera-tokens"].map((address) => get(address)));
    const row = (owner, each, address, what) =>
      element(
        "tr",
        { "data-prefix": each.prefix },
        element("th", { scope: "row" }, owner),
        element("td", {}, element("code", {}, `${each.prefix}…`)),
        element("td", { class: "quiet" }, at(each.issued_at)),
        element("td", { class: "actions" }, element("button", { type: "button", class: "danger", onclick: () => revoke(`${address}/${each.prefix}`, each.prefix, what) }, "Revoke")),
      );
    const section = (title, text, button, issue, name, owner, rows, empty) =>
      element(
        "section",
        { class: "card" },
        element("div", { class: "bar" }, element("h2", {}, title), element("button", { type: "button", class: "main", onclick: issue }, button)),
        element("p", { class: "quiet" }, text),
        rows.length > 0 ? table(name, [owner, "Begins with", "Issued", ""], rows) : element("p", { class: "quiet" }, empty),
      );
    body.replaceChildren(
      section(
        "Camera tokens", "Each lets one camera push its own frames and nothing else. Bring a new one out before you revoke the old one.",
        "Issue a token", issueToken, "Camera tokens", "Camera",
        tokens.map((token) => row(token.camera, token, "/v1/camera-tokens", "token")), "No camera has a token yet.",
      ),
      section(
        "API keys", "Each lets a program do what its user may, over REST and gRPC.",
        "Issue a key", () => issueKey(users), "API keys", "User",
        issued.map((key) => row(key.user, key, "/v1/api-keys", "key")), "No program has a key yet.",
      ),
    );
  }

  function issueToken() {
    const list = element("datalist", { id: "token-cameras" }, [...live.cameras.keys()].map((value) => element("option", { value })));
    const camera = element("input", { required: true, maxlength: 64, pattern: "[a-z0-9][a-z0-9_\\-]*", list: "token-cameras", autocomplete: "off" });
    formDialog("Issue a camera token", [field("Camera", camera, "Small letters, digits, _ and -; it need not have sent a frame yet"), list], "Issue", async () => {
      const made = await send("POST", "/v1/camera-tokens", { camera: camera.value });
      await open("keys");
      showSecret(`Token of ${made.camera}`, made.token, "Put it into a file on the camera's host, and start its edge with --token-file.");
    });
  }

  function issueKey(users) {
    const user = element("select", {}, users.map(({ name, role }) => element("option", { value: name }, `${name}, ${role}`)));
    formDialog("Issue an API key", field("User", user, "The key may do what this user may"), "Issue", async () => {
      const made = await send("POST", "/v1/api-keys", { user: user.value });
      await open("keys");
      showSecret(`API key of ${made.user}`, made.key, "Programs send it as Authorization: Bearer, never in an address.");
    });
  }

  function revoke(address, prefix, what) {
    const act = async () => {
      await send("DELETE", address);
      await open("keys");
    };
    formDialog(`Revoke this ${what}?`, element("p", {}, `What was let in by ${prefix}… ends within seconds.`), "Revoke", act, { danger: true });
  }

  async function cameras() {
    const [{ cameras: known }, labels] = await Promise.all([get("/v1/cameras"), get("/v1/recognisers").then(({ recognisers }) => recognisers.flatMap((each) => each.labels), () => [])]);
    const names = known.map(({ camera }) => camera);
    const asked = new URLSearchParams(location.hash.split("?")[1]).get("camera");
    const select = element("select", { id: "rules-camera", onchange: () => choose(select.value) }, [...new Set([...names, ...(asked ? [asked] : [])])].map((name) => element("option", { value: name }, name)), element("option", { value: "" }, "All other cameras"));
    const place = element("div", { class: "rules" });
    body.replaceChildren(element("div", { class: "bar" }, element("label", { for: "rules-camera" }, "Rules of"), select), place);
    let form = null;
    let chosen = asked ?? names[0] ?? "";
    select.value = chosen;
    const unguard = guard(() => form?.dirty);

    async function choose(camera) {
      if (!mayLeave()) {
        select.value = chosen;
        return;
      }
      chosen = camera;
      history.replaceState(null, "", `#/settings?${new URLSearchParams({ tab: "cameras", ...(camera && { camera }) })}`);
      await load();
    }

    async function load() {
      const camera = chosen;
      const address = camera ? ofCamera(camera, "rules") : "/v1/rules/default";
      form?.leave();
      form = null;
      try {
        const response = await ask(address);
        const told = await response.json();
        if (camera !== chosen || tab !== "cameras") return;
        form = new RulesForm(told, {
          labels: [...new Set(labels)],
          save: (rules) => write("PUT", address, response.headers.get("ETag"), rules),
          drop: camera && told.source === "camera" ? () => write("DELETE", address, response.headers.get("ETag")) : null,
          reload: load,
        });
        place.replaceChildren(form.root);
        if (names.includes(camera)) await showPicture(camera, form);
      } catch (problem) {
        if (!(problem instanceof Problem)) throw problem;
        place.replaceChildren(failure(problem, load));
      }
    }

    async function write(method, address, tag, rules) {
      await send(method, address, rules, { "If-Match": tag });
      await load();
      form?.say("Saved. Workers follow within seconds.");
    }

    await load();
    return () => {
      form?.leave();
      unguard();
    };
  }

  await open(tab);
  return () => leave();
}

/** The camera's newest machine view under its zones; without one they can be drawn all the same. */
async function showPicture(camera, form) {
  const { frames } = await get(`${ofCamera(camera, "frames")}?limit=1`);
  if (frames.length > 0) form.editor.show(await picture(frames[0].links.machine_view));
}

/** Role and cameras of a user. */
function accessFields(user, live) {
  const role = element("select", { onchange: limit }, Object.entries(ROLES).map(([value, title]) => element("option", { value }, title)));
  role.value = user.role;
  const all = element("input", { type: "checkbox", checked: user.cameras === null, onchange: limit });
  const known = [...new Set([...live.cameras.keys(), ...(user.cameras ?? [])])].sort();
  const boxes = known.map((name) => element("input", { type: "checkbox", value: name, checked: user.cameras?.includes(name) ?? false }));
  const other = element("input", { maxlength: 64, pattern: "[a-z0-9][a-z0-9_\\-]*", autocomplete: "off" });
  const some = element("fieldset", {}, element("legend", {}, "These cameras"), element("div", { class: "chips" }, boxes.map((box) => element("label", { class: "choice chip" }, box, box.value))), field("And one that has not sent a frame yet", other));
  function limit() {
    const sees_all = role.value === "admin" || all.checked;
    all.disabled = role.value === "admin";
    some.hidden = some.disabled = sees_all;
  }
  limit();
  return {
    fields: [field("Role", role), element("label", { class: "choice" }, all, "May see all cameras"), some],
    value() {
      const chosen = boxes.filter((box) => box.checked).map((box) => box.value);
      if (other.value) chosen.push(other.value);
      return { role: role.value, cameras: some.disabled ? null : chosen };
    },
  };
}

function table(caption, titles, rows) {
  return element(
    "div",
    { class: "scroll", tabindex: "0", role: "region", "aria-label": caption },
    element(
      "table",
      {},
      element("caption", { class: "visually-hidden" }, caption),
      element("thead", {}, element("tr", {}, titles.map((title) => element("th", { scope: "col" }, title || element("span", { class: "visually-hidden" }, "Actions"))))),
      element("tbody", {}, rows),
    ),
  );
}

function userAddress({ name }) {
  return `/v1/users/${encodeURIComponent(name)}`;
}
