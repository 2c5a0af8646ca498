// Clips and exports: what to make, how far it is, and the files.

import { Problem, get, send } from "./api.js";
import { element, failure, notice } from "./dom.js";
import { LAST_MOMENT, at, bytes, inFull, lasting, plural, timeOf } from "./words.js";

const SOON = 1000; // between two looks while something is being made
const LATER = 10_000;
const KINDS = {
  clip: ["Clip", "A film (MP4) of one camera. Each picture is shown when it was captured."],
  results: ["Results", "COCO JSON of what was recognised: boxes, masks, tracks and zones."],
  views: ["Pictures", "A zip file of pictures, with a manifest."],
  layers: ["Bitstreams", "A zip file of layers, with those of the key frames that they need; `secondsight decode` reads them."],
  marks: ["Marked results", "A COCO dataset of human views with what operators said of results."],
};
const VIEWS = { machine: "Machine view", human: "Human view" };
const LAYERS = { machine: "Machine layers", human: "Both layers" };
const WIDTHS = { "": "As captured", 1280: "1280 wide", 854: "854 wide (480p)", 426: "426 wide" };
const FORMATS = { jpeg: "JPEG", webp: "WebP", png: "PNG" };
const STRETCHES = { "1 min": 60, "10 min": 600, "1 h": 3600, "24 h": 86_400 };
const STATES = { queued: "Waiting", running: "Being made", done: "Ready", failed: "Failed" };
const REASONS = {
  "enhancement-not-stored": "the edge stored no enhancement layer",
  "enhancement-expired": "the enhancement layer has expired",
  "enhancement-evicted": "the enhancement layer was evicted to make room",
  "key-frame-gone": "the key frame is no longer stored",
  "edge-not-connected": "the edge that has the layer is not connected",
  "edge-too-slow": "the layer has not come from the edge in time",
  "unknown-frame": "the frame is no longer stored",
  "undecodable-layer": "the layers cannot be decoded",
  "recognition-failed": "recognition failed",
};

export async function show(root, parameters, { session }) {
  const page = new ExportsPage(root, parameters.query, session);
  await page.begin();
  return () => page.leave();
}

class ExportsPage {
  constructor(root, query, session) {
    this.root = root;
    this.query = query;
    this.session = session;
    this.jobs = new Map(); // element of each job, by its id
    this.left = false;
    this.look = () => !document.hidden && this.refresh();
  }

  async begin() {
    const { cameras } = await get("/v1/cameras");
    if (this.left) return;
    const heading = element("div", { class: "bar" }, element("h1", {}, "Clips and exports"));
    if (cameras.length === 0) {
      this.root.append(heading, notice("empty", "Nothing to export yet", "No camera has sent a frame. What cameras send can be made into films and files here."));
      return;
    }
    this.list = element("ul", { class: "jobs" });
    this.none = element("div");
    this.trouble = element("div");
    this.root.append(
      heading,
      element(
        "div",
        { class: "columns" },
        this.form(cameras.map(({ camera }) => camera)),
        element("section", { "aria-labelledby": "made" }, element("h2", { id: "made" }, "Made and being made"), this.trouble, this.none, this.list),
      ),
    );
    document.addEventListener("visibilitychange", this.look);
    await this.refresh();
  }

  leave() {
    this.left = true;
    clearTimeout(this.timer);
    document.removeEventListener("visibilitychange", this.look);
  }

  form(cameras) {
    const asked = this.query.get("camera");
    const [from, to] = ["from", "to"].map((name) => timeOf(this.query.get(name)));
    const until = Number.isNaN(to) ? Date.now() : to;
    this.kind = select(Object.fromEntries(Object.entries(KINDS).filter(([kind]) => kind !== "marks" || this.session.humanViews).map(([kind, [name]]) => [kind, name])));
    if ([...this.kind.options].some(({ value }) => value === this.query.get("kind"))) this.kind.value = this.query.get("kind");
    this.about = element("p", { class: "quiet" });
    this.camera = select(Object.fromEntries(cameras.map((camera) => [camera, camera])));
    this.cameras = cameras.map((camera) => element("input", { type: "checkbox", value: camera, checked: !asked || asked === camera }));
    if (cameras.includes(asked)) this.camera.value = asked;
    this.from = moment(Number.isNaN(from) ? until - 60_000 : from);
    this.to = moment(until);
    this.view = select(VIEWS);
    this.view.value = this.query.get("view") === "human" && this.session.humanViews ? "human" : "machine";
    if (!this.session.humanViews) this.view.options[1].disabled = true;
    this.width = select(WIDTHS);
    this.format = select(FORMATS);
    this.reason = element("input", { maxlength: this.session.reason_characters, required: this.session.asks, autocomplete: "off" });
    this.failure = element("p", { class: "failure", role: "alert" });
    this.make = element("button", { class: "main" }, "Make");
    const stretches = Object.entries(STRETCHES).map(([name, seconds]) =>
      element("button", { type: "button", class: "plain", onclick: () => this.stretch(seconds) }, name),
    );
    this.parts = {
      camera: field("Camera", this.camera),
      cameras: element("fieldset", {}, element("legend", {}, "Cameras"), element("div", { class: "choices" }, this.cameras.map((box) => element("label", { class: "choice" }, box, box.value)))),
      view: field("View", this.view),
      width: field("Size", this.width),
      format: field("Format", this.format),
      reason: field("What it is for; the audit keeps it", this.reason),
    };
    this.kind.addEventListener("change", () => this.suit());
    this.view.addEventListener("change", () => this.suit());
    const form = element(
      "form",
      { class: "card", "aria-label": "Make a clip or an export" },
      field("What", this.kind),
      this.about,
      this.parts.camera,
      this.parts.cameras,
      element("div", { class: "pair times" }, field("From", this.from), field("To", this.to)),
      element("div", { class: "stretches", role: "group", "aria-label": "The last" }, element("span", { class: "quiet" }, "The last"), stretches),
      element("div", { class: "pair" }, this.parts.view, this.parts.width, this.parts.format),
      this.parts.reason,
      this.failure,
      this.make,
    );
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.ask();
    });
    this.suit();
    return form;
  }

  /** Show the fields that what is to be made has. */
  suit() {
    const kind = this.kind.value;
    this.about.textContent = KINDS[kind][1];
    this.parts.camera.hidden = kind !== "clip";
    this.parts.cameras.hidden = kind === "clip";
    this.parts.view.hidden = kind === "results" || kind === "marks";
    this.parts.width.hidden = kind !== "clip" && kind !== "views";
    this.parts.format.hidden = kind !== "views";
    const names = kind === "layers" ? LAYERS : VIEWS;
    for (const option of this.view.options) option.textContent = names[option.value];
    this.parts.reason.hidden = !this.showsPeople;
    this.reason.disabled = !this.showsPeople;
    this.failure.textContent = "";
  }

  get showsPeople() {
    return this.kind.value === "marks" || (!this.parts.view.hidden && this.view.value === "human");
  }

  stretch(seconds) {
    const now = Date.now();
    this.from.value = local(now - seconds * 1000);
    this.to.value = local(now);
  }

  async ask() {
    const kind = this.kind.value;
    const order = { from: instant(this.from), to: instant(this.to) };
    if (kind === "clip") order.camera = this.camera.value;
    else Object.assign(order, { kind, cameras: this.cameras.filter((box) => box.checked).map((box) => box.value) });
    if (!this.parts.view.hidden) order.view = this.view.value;
    if (!this.parts.width.hidden && this.width.value) order.width = Number(this.width.value);
    if (!this.parts.format.hidden) order.format = this.format.value;
    if (this.showsPeople) order.reason = this.reason.value;
    this.failure.textContent = order.cameras?.length === 0 ? "Choose at least one camera." : "";
    if (this.failure.textContent) return;
    this.make.disabled = true;
    try {
      // The same click that comes twice makes one job.
      await send("POST", kind === "clip" ? "/v1/clips" : "/v1/exports", order, { "Idempotency-Key": key() });
      await this.refresh();
    } catch (problem) {
      if (!(problem instanceof Problem)) throw problem;
      this.failure.textContent = inFull(problem);
    } finally {
      this.make.disabled = false;
    }
  }

  async refresh() {
    clearTimeout(this.timer);
    let jobs = null;
    try {
      const [{ clips }, { exports }] = await Promise.all([get("/v1/clips"), get("/v1/exports")]);
      jobs = [...clips, ...exports].sort((one, other) => (one.asked_at < other.asked_at ? 1 : -1));
    } catch (problem) {
      if (!(problem instanceof Problem)) throw problem;
      this.trouble.replaceChildren(failure(problem, () => this.refresh()));
    }
    if (this.left) return;
    if (jobs) this.tell(jobs);
    const busy = jobs?.some(({ state }) => state === "queued" || state === "running");
    this.timer = setTimeout(this.look, busy ? SOON : LATER);
  }

  tell(jobs) {
    this.trouble.replaceChildren();
    const there = new Set(jobs.map(({ id }) => id));
    for (const [id, shown] of this.jobs) {
      if (there.has(id)) continue;
      shown.element.remove();
      this.jobs.delete(id);
    }
    jobs.forEach((job, place) => {
      if (!this.jobs.has(job.id)) this.jobs.set(job.id, new JobCard(job, this.session, () => this.refresh()));
      const shown = this.jobs.get(job.id);
      shown.tell(job);
      if (this.list.children[place] !== shown.element) this.list.insertBefore(shown.element, this.list.children[place] ?? null);
    });
    this.none.replaceChildren(...(jobs.length === 0 ? [notice("empty", "Nothing made yet", "What you make stands here until it is deleted or too old.")] : []));
  }
}

/** One job. It is changed in place, so that focus and a film that plays stay. */
class JobCard {
  constructor(job, session, changed) {
    this.told = "";
    this.changed = changed;
    this.state = element("span", { class: "dot" });
    this.progress = element("progress", { max: 1, "aria-label": "Progress" });
    this.facts = element("p", { class: "quiet" });
    this.leftOut = element("div");
    this.actions = element("div", { class: "actions" });
    this.film = element("div");
    const { from, to, cameras, kind, view } = job;
    const what = kind === "layers" ? LAYERS[view] : VIEWS[view];
    this.element = element(
      "li",
      { class: "card job", "data-id": job.id },
      element("header", {}, element("h3", {}, `${KINDS[kind][0]} of ${cameras.length > 2 ? plural(cameras.length, "camera") : cameras.join(" and ")}`), this.state),
      element(
        "p",
        { class: "quiet" },
        `${at(from)} to ${at(to)} (${lasting((new Date(to) - new Date(from)) / 1000)})`,
        kind === "results" ? null : ` · ${what}`,
        session.asks && session.person?.name !== job.owner ? ` · by ${job.owner}` : null,
      ),
      job.reason && element("p", { class: "quiet" }, `For: ${job.reason}`),
      this.progress,
      this.facts,
      this.leftOut,
      this.film,
      this.actions,
    );
  }

  tell(job) {
    const told = JSON.stringify(job);
    if (told === this.told) return;
    const begun = this.told && JSON.parse(this.told).state === job.state;
    this.told = told;
    const { state, progress, frames, failure: why, left_out: missing, left_out_by_reason: reasons } = job;
    this.element.dataset.state = state;
    this.state.dataset.state = state;
    this.state.textContent = STATES[state];
    this.progress.hidden = state !== "running";
    this.progress.value = progress;
    const part = state === "running" ? `${Math.round(progress * 100)} % of ${plural(frames, "frame")}` : plural(frames, job.kind === "results" ? "result" : "frame");
    this.facts.textContent = why ?? [part, job.bytes !== null && bytes(job.bytes), job.kept_until && `kept until ${at(job.kept_until)}`].filter(Boolean).join(" · ");
    this.facts.className = why ? "failure" : "quiet";
    this.leftOut.replaceChildren(
      ...(missing ? [element("p", { class: "left-out" }, `${plural(missing, "frame")} left out: `, Object.entries(reasons).map(([reason, count]) => `${count} × ${REASONS[reason] ?? reason}`).join("; "), ".")] : []),
    );
    if (!begun) this.actions.replaceChildren(...this.buttons(job));
  }

  buttons({ links, state, kind, file_name: name }) {
    const ended = state === "done" || state === "failed";
    const remove = element("button", { type: "button", onclick: () => this.remove(links.self, remove) }, ended ? "Delete" : "Cancel");
    if (state !== "done") return [remove];
    const download = element("a", { class: "button", href: links.file, download: name }, "Download");
    const play = kind === "clip" && element("button", { type: "button", onclick: () => this.play(links.file, play) }, "Play");
    return [download, play, remove].filter(Boolean);
  }

  /** Where it shows people, each look is on record: it is fetched only now. */
  play(address, button) {
    button.hidden = true;
    const film = element("video", { controls: true, autoplay: true, muted: true, src: address });
    this.film.replaceChildren(film);
    film.focus();
  }

  async remove(address, button) {
    button.disabled = true;
    try {
      await send("DELETE", address);
    } catch (problem) {
      if (!(problem instanceof Problem)) throw problem;
      if (problem.status !== 404) {
        button.disabled = false;
        this.facts.className = "failure";
        this.facts.textContent = inFull(problem);
        return;
      }
    }
    await this.changed();
  }
}

function field(name, input) {
  return element("label", { class: "field" }, name, input);
}

function select(options) {
  return element("select", {}, Object.entries(options).sort(asGiven(options)).map(([value, name]) => new Option(name, value)));
}

// Keys that look like numbers come first in an object, whatever the order that they were written in.
function asGiven(options) {
  return "" in options ? ([one], [other]) => (one === "" ? -1 : other === "" ? 1 : other - one) : undefined;
}

function moment(milliseconds) {
  return element("input", { type: "datetime-local", step: 1, max: LAST_MOMENT, required: true, value: local(milliseconds) });
}

/** As a field takes it: the reader's own time, without a zone. */
function local(milliseconds) {
  const date = new Date(milliseconds);
  return new Date(milliseconds - date.getTimezoneOffset() * 60_000).toISOString().slice(0, 19);
}

function instant(input) {
  return new Date(input.value).toISOString();
}

function key() {
  return Array.from(crypto.getRandomValues(new Uint32Array(4)), (part) => part.toString(16)).join("");
}
