// The audit: who asked to see whom, when and why, and whether its chain of hashes is whole. For admins.

import { Problem, get } from "./api.js";
import { element, failure, notice } from "./dom.js";
import { adminsAlone, copy, openServer } from "./admin.js";
import { inFull, plural, timeOf } from "./words.js";

const SUBJECTS = {
  human_view: "Human view",
  enhancement_layer: "Enhancement layer",
  keep: "Frame kept",
  mark: "Mark",
  clip: "Clip",
  export: "Export",
  login: "Login",
  logout: "Logout",
  access: "Users, keys, tokens",
  rules: "Rules",
  audit: "Look at the audit",
  call: "Stranger's call",
  recovered: "Audit recovered",
  retention: "Old records removed",
};
const OUTCOMES = { asked: "granted", delivered: "delivered", done: "done", failed: "failed", refused: "refused" };
const FILTERS = ["from", "to", "principal", "camera", "subject", "outcome"];
const PAGE = 100;

export async function show(root, parameters, { session, live }) {
  if (!session.admin) return adminsAlone(root, "The audit");
  let asked = 0; // so that a slow answer does not overwrite the next one

  const fields = filterFields(parameters.query, live);
  const verification = element("section", { class: "card verification", "aria-label": "Verification" });
  const download = element("a", { class: "button", download: "audit.ndjson" }, "Download");
  const rows = element("tbody");
  const table = element(
    "div",
    { class: "scroll card records", tabindex: "0", role: "region", "aria-label": "Records" },
    element(
      "table",
      {},
      element("caption", { class: "visually-hidden" }, "Records of the audit, newest first"),
      element("thead", {}, element("tr", {}, ["When", "What", "Who", "Camera", "Reason, details"].map((title) => element("th", { scope: "col" }, title)))),
      rows,
    ),
  );
  const after = element("div", { class: "after", "aria-live": "polite" });
  const form = element(
    "form",
    { class: "card filters", "aria-label": "Filters", onsubmit: (event) => event.preventDefault(), onchange: () => search() },
    Object.values(fields).map(({ field }) => field),
    element("button", { type: "button", class: "plain", onclick: clear }, "Clear"),
  );
  root.append(
    element("div", { class: "bar" }, element("h1", {}, "Audit"), download),
    session.asks ? "" : openServer("Whoever is at this machine is on record as “loopback”."),
    verification,
    form,
    table,
    after,
  );

  function sought() {
    const query = new URLSearchParams();
    for (const name of FILTERS) {
      const value = fields[name].input.value.trim();
      const isTime = name === "from" || name === "to";
      if (isTime ? timeOf(value) : value) query.set(name, isTime ? new Date(value).toISOString() : value);
    }
    return query;
  }

  function clear() {
    for (const { input } of Object.values(fields)) input.value = "";
    search();
  }

  async function search(address = null) {
    const mine = ++asked;
    const query = sought();
    if (address === null) {
      history.replaceState(null, "", query.size > 0 ? `#/audit?${query}` : "#/audit");
      download.href = `/v1/audit/export?${query}`;
      table.setAttribute("aria-busy", "true");
    }
    try {
      const page = await get(address ?? `/v1/audit?${new URLSearchParams([...query, ["limit", PAGE]])}`);
      if (mine !== asked) return;
      if (address === null) rows.replaceChildren();
      rows.append(...page.records.map(row));
      tell(page);
    } catch (problem) {
      if (!(problem instanceof Problem)) throw problem;
      if (mine === asked) after.replaceChildren(failure(problem, () => search(address)));
    } finally {
      if (mine === asked) table.removeAttribute("aria-busy");
    }
  }

  function tell(page) {
    table.hidden = rows.childElementCount === 0;
    const told = [];
    if (page.unreadable > 0) told.push(element("p", { class: "failure" }, `${plural(page.unreadable, "line")} cannot be read as it was written; see the verification.`));
    if (page.next) {
      const text = page.back_to ? `Looked back to ${moment(page.back_to)}. Look further back` : "Older records";
      told.push(element("button", { type: "button", onclick: () => search(page.next) }, text));
    } else if (table.hidden) {
      told.push(notice("empty", "Nothing is on record like this", "Widen the time or clear the filters."));
    } else told.push(element("p", { class: "quiet" }, "That is all."));
    after.replaceChildren(...told);
  }

  async function verify() {
    verification.replaceChildren(element("p", { class: "dot", role: "status" }, "Following the chain of records…"));
    try {
      verification.replaceChildren(...verified(await get("/v1/audit/verification"), verify));
    } catch (problem) {
      if (!(problem instanceof Problem)) throw problem;
      verification.replaceChildren(
        element("p", { class: "failure" }, inFull(problem)),
        element("button", { type: "button", onclick: verify }, "Try again"),
      );
    }
  }

  await Promise.all([verify(), search()]);
}

function filterFields(query, live) {
  const text = (type, name, attributes = {}) => element("input", { type, name, value: query?.get(name) ?? "", ...attributes });
  const choice = (name, words) => {
    const select = element("select", { name }, element("option", { value: "" }, "any"), Object.entries(words).map(([value, word]) => element("option", { value }, word)));
    select.value = query?.get(name) ?? "";
    return select;
  };
  const time = (name) => {
    const given = timeOf(query?.get(name));
    return text("datetime-local", name, { value: given ? local(new Date(given)) : "" });
  };
  const made = {
    from: ["From", time("from")],
    to: ["To", time("to")],
    principal: ["Who", text("search", "principal", { maxlength: 64, placeholder: "anybody" })],
    camera: ["Camera", text("search", "camera", { maxlength: 64, placeholder: "any", list: "audit-cameras" })],
    subject: ["What", choice("subject", SUBJECTS)],
    outcome: ["Outcome", choice("outcome", OUTCOMES)],
  };
  const cameras = element("datalist", { id: "audit-cameras" }, [...live.cameras.keys()].map((value) => element("option", { value })));
  return Object.fromEntries(
    Object.entries(made).map(([name, [title, input]]) => [name, { input, field: element("label", { class: "field" }, title, input, name === "camera" && cameras) }]),
  );
}

function row(record) {
  const { subject, outcome, principal, role, camera, frame } = record;
  const where = camera && frame
    ? element("a", { href: `#/cameras/${encodeURIComponent(camera)}/frames/${encodeURIComponent(frame)}` }, `${camera} ${frame}`)
    : camera;
  const from = [record.address, record.via].filter(Boolean).join(", ");
  return element(
    "tr",
    { "data-subject": subject, "data-outcome": outcome },
    element("td", { class: "when" }, element("time", { datetime: record.at, title: record.at }, moment(record.at))),
    element("td", {}, element("span", {}, SUBJECTS[subject] ?? subject), element("span", { class: "outcome" }, OUTCOMES[outcome] ?? outcome)),
    element("td", {}, element("span", {}, principal || "nobody known"), element("span", { class: "quiet" }, [role, from].filter(Boolean).join(", "))),
    element("td", { class: "where" }, where),
    element("td", { class: "why" }, record.reason && element("span", {}, record.reason), record.detail && element("span", { class: "quiet" }, record.detail)),
  );
}

function verified(found, again) {
  const last = `${found.last.sequence}:${found.last.hash}`;
  const state = found.intact
    ? element("p", { class: "dot", "data-state": "live", role: "status" }, `Intact since ${found.since ? moment(found.since) : "its beginning"}: ${plural(found.records, "record")} followed`)
    : element("p", { class: "dot", "data-state": "failed", role: "alert" }, `Changed: ${plural(found.faults.length, "sign")} that records are not as they were written`);
  return [
    element("div", { class: "bar" }, state, element("button", { type: "button", class: "plain", onclick: again }, "Check again")),
    !found.intact && element("ul", { class: "faults" }, found.faults.map((fault) => element("li", {}, fault))),
    found.notices.length > 0 &&
      element("details", {}, element("summary", {}, plural(found.notices.length, "note")), element("ul", { class: "quiet" }, found.notices.map((told) => element("li", {}, told)))),
    element(
      "p",
      { class: "quiet anchor" },
      "Note the last record somewhere that this server cannot write; it proves later that nothing before it was changed: ",
      element("code", {}, `${last.slice(0, last.indexOf(":") + 13)}…`),
      copy(last),
    ),
  ].filter(Boolean);
}

function moment(at) {
  return new Date(at).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "medium" });
}

/** As datetime-local takes it. */
function local(date) {
  return new Date(date - date.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}
