// A camera's timeline: what it has shown, for longer than its frames are kept, and any moment of that within two clicks.

import { Problem, get, ofCamera, picture } from "./api.js";
import { element, notice } from "./dom.js";
import { chips, drawDetections } from "./draw.js";
import { Filmstrip } from "./filmstrip.js";
import { LONGEST, SHORTEST, Timescale, inWords } from "./timescale.js";
import { LAST_MOMENT, bytes, inFull, lasting, plural, stopped, timeOf } from "./words.js";

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const SPANS = { "1 h": HOUR, "24 h": DAY, "7 d": 7 * DAY };
const AHEAD = 0.04; // share of the stretch that is kept free behind now
const REFRESH = 5000; // of what a live camera adds
const SETTLE = 150; // before something is asked for, so that a drag asks once
const PICTURES = 24; // kept of those that were pointed at
const WIDTH = 640;
const ROWS = 200;
const VIEWABLE = { human: "machine and human view", machine: "machine view", none: "history alone" };

export async function show(root, parameters, context) {
  const page = new TimelinePage(root, parameters, context);
  await page.begin();
  return () => page.leave();
}

class TimelinePage {
  constructor(root, { camera, time, query }, { live }) {
    this.camera = camera;
    this.live = live;
    this.address = location.hash;
    this.leaving = new AbortController();
    this.pictures = new Map(); // by frame, the last used last
    this.loaded = null;
    const asked = Number(query.get("span")) * 1000;
    const span = asked > 0 ? Math.min(Math.max(asked, SHORTEST), LONGEST) : HOUR;
    const moment = timeOf(time);
    this.following = Number.isNaN(moment);
    const to = this.following ? Date.now() + AHEAD * span : moment + span / 2;
    this.scale = new Timescale({
      from: to - span,
      to,
      view: () => this.moved(),
      point: (at) => this.preview(at),
      pick: (at) => this.choose(at),
      open: (at) => this.open(at),
    });
    if (!this.following) this.scale.cursor = moment;
    this.film = new Filmstrip(camera);
    this.build(root);
    if (time !== undefined && Number.isNaN(moment)) this.tell(`${time} is no time. Choose one below, or follow the camera live.`);
  }

  async begin() {
    await this.load();
    this.offs = [
      this.live.on("result", (frame) => frame.camera === this.camera && this.came(frame)),
      this.live.on("camera", (camera) => camera.camera === this.camera && this.tellState(camera)),
    ];
    if (this.live.cameras.has(this.camera)) this.tellState(this.live.cameras.get(this.camera));
    this.clock = setInterval(() => this.tick(), 1000);
    this.preview(null);
  }

  leave() {
    this.leaving.abort();
    clearInterval(this.clock);
    clearTimeout(this.settling);
    clearTimeout(this.pointing);
    for (const off of this.offs ?? []) off();
    this.scale.leave();
    this.film.leave();
    for (const { bitmap } of this.pictures.values()) bitmap.close();
  }

  build(root) {
    const button = (text, label, onclick, attributes = {}) =>
      element("button", { type: "button", "aria-label": label, title: label, onclick, ...attributes }, text);
    this.state = element("span", { class: "dot" });
    this.follow = button("Live", "Follow the camera live (L)", () => this.goLive(), { "aria-pressed": "false" });
    this.presets = Object.entries(SPANS).map(([text, span]) =>
      element("button", { type: "button", "data-span": span, onclick: () => this.stretch(span) }, text),
    );
    this.when = element("input", { type: "datetime-local", step: 1, max: LAST_MOMENT, required: true, "aria-label": "Jump to" });
    const jump = element("form", { class: "jump" }, this.when, element("button", {}, "Go"));
    jump.addEventListener("submit", (event) => {
      event.preventDefault();
      this.goTo(timeOf(this.when.value));
    });
    this.labels = element("select", { "aria-label": "Label", onchange: () => this.narrow() }, new Option("All labels", ""));
    this.alerts = element("input", { type: "checkbox", onchange: () => this.narrow() });
    this.note = element("p", { class: "quiet note", role: "status" });
    const bar = element(
      "div",
      { class: "bar" },
      element("h1", {}, this.camera),
      this.state,
      element("div", { class: "group", role: "group", "aria-label": "Stretch" }, this.follow, this.presets),
      jump,
    );
    const tools = element(
      "div",
      { class: "bar tools" },
      element("div", { class: "group", role: "group", "aria-label": "Zoom" }, button("−", "Zoom out (−)", () => this.scale.zoom(2)), button("+", "Zoom in (+)", () => this.scale.zoom(0.5))),
      element("div", { class: "group", role: "group", "aria-label": "Events" }, button("◂ Event", "Event before (P)", () => this.step(-1)), button("Event ▸", "Next event (N)", () => this.step(1))),
      this.labels,
      element("label", { class: "choice" }, this.alerts, "Alerts only"),
      button("Copy link", "Copy a link to this moment", () => this.share()),
      button("Export", "Make a clip or an export of the time that is shown", () => this.toExports()),
      this.note,
    );
    this.canvas = element("canvas", { role: "img", "aria-label": "Machine view of the moment" });
    this.blank = element("p", { class: "blank" });
    this.moment = element("p", { class: "moment" });
    this.facts = element("dl", { class: "facts" });
    this.chips = element("ul", { class: "chips", "aria-label": "Seen" });
    this.link = element("a", { class: "button main", hidden: true }, "Open frame");
    const preview = element(
      "section",
      { class: "preview card", "aria-label": "Moment" },
      element("div", { class: "picture" }, this.canvas, this.blank),
      element("div", { class: "about" }, this.moment, this.chips, this.facts, this.link),
    );
    const sample = (kind, text) => element("span", { class: `sample ${kind}` }, text);
    const legend = element("p", { class: "legend quiet" }, sample("human", "human views"), sample("machine", "machine views"), sample("none", "history alone"), sample("gap", "no frames"), sample("alert", "alert"));
    this.table = element("tbody");
    this.details = element(
      "details",
      {},
      element("summary", {}, "As a table"),
      element("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Timeline as a table" },
        element("table", {}, element("thead", {}, element("tr", {}, ["From", "Frames", "Seen, at most at once", "Alerts", "Can be looked at"].map((text) => element("th", { scope: "col" }, text)))), this.table)),
    );
    this.details.addEventListener("toggle", () => this.fillTable());
    this.empty = element("div");
    this.content = [
      preview,
      element("section", { class: "card scale", "aria-label": "Timeline" }, tools, this.scale.element, legend, this.details),
      element("section", { class: "card", "aria-label": "Seen" }, element("h2", {}, "Seen in this time"), this.film.element),
    ];
    root.append(bar, this.empty, ...this.content);
    this.scale.element.addEventListener("keydown", (event) => this.key(event));
    addEventListener("keydown", (event) => {
      if (event.target === document.body || event.target.id === "main") this.key(event);
    }, { signal: this.leaving.signal });
    this.tellStretch();
  }

  // What is shown of the timeline

  /** The stretch that is shown has changed, by the hand of somebody. */
  moved() {
    this.following = this.following && this.scale.to > Date.now();
    this.tellStretch();
    this.settle();
  }

  settle() {
    clearTimeout(this.settling);
    this.settling = setTimeout(() => {
      this.remember();
      this.load();
    }, SETTLE);
  }

  async load() {
    const { from, to, span } = this.scale;
    this.asking?.abort();
    this.asking = new AbortController();
    const { signal } = this.asking;
    const asked = { from: from - span / 4, to: to + span / 4 };
    const query = new URLSearchParams({
      from: new Date(asked.from).toISOString(),
      to: new Date(asked.to).toISOString(),
      buckets: Math.min(600, Math.max(100, Math.round(this.scale.element.clientWidth / 3))),
    });
    try {
      const timeline = await get(`${ofCamera(this.camera, "timeline")}?${query}`, { signal });
      if (signal.aborted || this.leaving.signal.aborted) return;
      this.loadedAt = Date.now();
      this.take(timeline);
    } catch (problem) {
      if (problem.name === "AbortError") return;
      if (!(problem instanceof Problem)) throw problem;
      if (this.scale.timeline) this.tell(inFull(problem));
      else this.fail(problem);
      return;
    }
    this.showFilm();
  }

  /** What was seen in the stretch that is shown, as far as clocks may be ahead. */
  showFilm() {
    const { from, to } = this.scale;
    this.film.show(from, Math.min(to, Date.now() + HOUR), this.labels.value, this.alerts.checked);
  }

  take(timeline) {
    this.scale.timeline = timeline;
    this.scale.draw();
    this.empty.replaceChildren();
    for (const part of this.content) part.hidden = false;
    const known = new Set([...this.labels.options].map((option) => option.value));
    const labels = new Set(timeline.buckets.flatMap((bucket) => Object.keys(bucket.labels)));
    for (const label of [...labels].sort()) if (!known.has(label)) this.labels.append(new Option(label, label));
    if (timeline.oldest === null) this.tell("Nothing is known of this camera yet; what it sends from now on will be.");
    this.tellSlider();
    this.fillTable();
    if (this.scale.pointed === null) this.preview(null);
  }

  fail(problem) {
    for (const part of this.content) part.hidden = true;
    const again = element("button", { type: "button", onclick: () => this.load() }, "Try again");
    this.empty.replaceChildren(
      notice("error", problem.title, stopped(problem.message), again, element("a", { class: "button", href: "#/" }, "Go to the wall")),
    );
  }

  tick() {
    if (this.following) {
      const { span } = this.scale;
      this.scale.to = Date.now() + AHEAD * span;
      this.scale.from = this.scale.to - span;
    }
    this.scale.draw();
    const shows = this.scale.to > Date.now() - REFRESH;
    if (shows && !document.hidden && Date.now() - this.loadedAt > Math.max(REFRESH, this.scale.span / 500)) {
      this.loadedAt = Date.now();
      this.load();
    }
  }

  came(frame) {
    this.latest = frame;
    if (this.following && this.scale.pointed === null && this.scale.cursor === null) this.preview(null);
  }

  narrow() {
    this.scale.label = this.labels.value;
    this.scale.draw();
    this.showFilm();
  }

  // Moments

  /** Show so much, of now where the camera is followed, else around the moment that is looked at. */
  stretch(span) {
    if (this.following) this.goLive(span);
    else this.scale.look(this.current - span / 2, this.current + span / 2);
  }

  goLive(span = this.scale.span) {
    this.scale.cursor = null;
    this.following = true;
    const to = Date.now() + AHEAD * span;
    this.scale.look(to - span, to);
    this.preview(null);
  }

  /** A moment in the midst of the stretch. */
  goTo(time) {
    if (Number.isNaN(time)) return;
    this.following = false;
    this.scale.cursor = time;
    this.scale.look(time - this.scale.span / 2, time + this.scale.span / 2);
    this.chosen();
  }

  choose(time) {
    const { from, to, span } = this.scale;
    this.following = false;
    this.scale.cursor = time;
    if (time < from) this.scale.look(time - span * 0.1, time + span * 0.9);
    else if (time > to) this.scale.look(time - span * 0.9, time + span * 0.1);
    else this.scale.draw();
    this.chosen();
  }

  chosen() {
    this.tellStretch();
    this.tellSlider();
    this.preview(this.scale.cursor);
    this.settle();
  }

  get current() {
    return this.scale.cursor ?? (this.following ? Date.now() : (this.scale.from + this.scale.to) / 2);
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const { span } = this.scale;
    const step = event.shiftKey ? span / 20 : span / 200;
    const { oldest } = this.scale.timeline ?? {};
    const keys = {
      ArrowLeft: () => this.choose(this.current - step),
      ArrowRight: () => this.choose(Math.min(this.current + step, Date.now())),
      ArrowDown: () => this.choose(this.current - step),
      ArrowUp: () => this.choose(Math.min(this.current + step, Date.now())),
      PageUp: () => this.choose(Math.min(this.current + span, Date.now())),
      PageDown: () => this.choose(this.current - span),
      Home: () => oldest && this.choose(Date.parse(oldest)),
      End: () => this.goLive(),
      Enter: () => this.open(this.current),
      "+": () => this.scale.zoom(0.5),
      "=": () => this.scale.zoom(0.5),
      "-": () => this.scale.zoom(2),
      n: () => this.step(1),
      p: () => this.step(-1),
      l: () => this.goLive(),
    };
    if (!keys[event.key]) return;
    event.preventDefault();
    keys[event.key]();
  }

  /** To the next thing that was seen, or the one before. */
  async step(direction) {
    const from = this.current;
    const query = new URLSearchParams({ limit: 1, order: direction > 0 ? "oldest" : "newest" });
    query.set(direction > 0 ? "from" : "to", new Date(direction > 0 ? from + 1 : from).toISOString());
    if (direction > 0) query.set("to", new Date(Math.max(Date.now(), from + 1) + HOUR).toISOString());
    if (this.labels.value) query.set("label", this.labels.value);
    if (this.alerts.checked) query.set("alert", "true");
    try {
      const { things } = await get(`${ofCamera(this.camera, "things")}?${query}`, { signal: this.leaving.signal });
      if (things.length === 0) {
        this.tell(direction > 0 ? "No later event." : "No earlier event.");
        return;
      }
      const [thing] = things;
      this.choose(Date.parse(thing.first_seen_at));
      this.tell(`${thing.alert ? "Alert: " : ""}${thing.label}, ${inWords(Date.parse(thing.first_seen_at), 0)}`);
    } catch (problem) {
      if (problem.name === "AbortError") return;
      if (!(problem instanceof Problem)) throw problem;
      this.tell(inFull(problem));
    }
  }

  async open(time) {
    try {
      const frame = await this.frameAt(time);
      if (frame) location.hash = `#/cameras/${encodeURIComponent(this.camera)}/frames/${frame.frame}`;
      else this.tell("No picture is kept of this time.");
    } catch (problem) {
      if (problem.name === "AbortError") return;
      if (!(problem instanceof Problem)) throw problem;
      this.tell(inFull(problem));
    }
  }

  /** The frame of a moment, or null where there is no picture of that time. */
  async frameAt(time, signal = this.leaving.signal) {
    const { timeline } = this.scale;
    // What is reached faster than it is loaded may have one.
    if (timeline && Date.parse(timeline.from) <= time && time < Date.parse(timeline.to)) {
      const bucket = this.bucketAt(time);
      if (!bucket || bucket.viewable === "none") return null;
    }
    return get(`${ofCamera(this.camera, "frames", "at")}?time=${encodeURIComponent(new Date(time).toISOString())}`, { signal });
  }

  /** The bucket in which a moment lies, or the one next to it that lies no further than eyes can tell. */
  bucketAt(time) {
    const near = Math.max(this.scale.span / 200, 2000 * (this.scale.timeline?.interval_s ?? 0));
    let best = null;
    let least = near;
    for (const bucket of this.scale.timeline?.buckets ?? []) {
      const [first, last] = [Date.parse(bucket.first_at), Date.parse(bucket.last_at)];
      const start = Date.parse(bucket.start);
      const inside = time >= start && time < start + bucket.seconds * 1000;
      const apart = inside ? 0 : Math.max(first - time, time - last, 0);
      if (apart <= least) [best, least] = [bucket, apart];
      if (inside) break;
    }
    return best;
  }

  gapAt(time) {
    return (this.scale.timeline?.gaps ?? []).find((gap) => Date.parse(gap.from) < time && time < Date.parse(gap.to));
  }

  // What is told of a moment

  /** Show a moment; null: the one that was chosen, or the latest. */
  preview(time) {
    const at = time ?? this.scale.cursor ?? (this.following ? null : this.current);
    if (at === null) {
      this.latest ??= this.live.frames.get(this.camera);
      this.describe(this.latest ? Date.parse(this.latest.captured_at) : Date.now(), true);
      if (this.latest?.result?.width > 0) this.point(() => this.latest);
      else if (!this.latest) this.point((signal) => this.newest(signal));
      return;
    }
    this.describe(at, false);
    this.point((signal) => this.frameAt(at, signal));
  }

  /** The latest frame of a camera that has sent none since the console was opened. */
  async newest(signal) {
    const { newest } = this.scale.timeline ?? {};
    const frame = newest ? await this.frameAt(Date.parse(newest), signal) : null;
    if (frame) {
      this.latest ??= frame;
      this.describe(Date.parse(frame.captured_at), true);
    }
    return frame;
  }

  /** Fetch and show the frame that `find` gives: one at a time, the one that was wanted last. */
  point(find) {
    this.wanted = find;
    if (this.pointing) return;
    this.pointing = setTimeout(async () => {
      const wanted = this.wanted;
      try {
        await this.putFrame(await wanted(this.leaving.signal));
      } catch (problem) {
        if (problem.name === "AbortError") return;
        if (!(problem instanceof Problem)) throw problem;
        this.putNothing(inFull(problem));
      } finally {
        this.pointing = 0;
      }
      if (this.wanted !== wanted && !this.leaving.signal.aborted) this.point(this.wanted);
    }, 60);
  }

  async putFrame(frame) {
    if (!frame) {
      this.putNothing(this.gapAt(this.shownAt) ? "No frames came in this time." : "No picture is kept of this time.");
      return;
    }
    this.link.href = `#/cameras/${encodeURIComponent(this.camera)}/frames/${frame.frame}`;
    this.link.hidden = false;
    if (!frame.result?.width) {
      this.putNothing(frame.result?.failure ?? "This frame is not recognised yet.", frame);
      return;
    }
    let kept = this.pictures.get(frame.frame);
    if (kept) this.pictures.delete(frame.frame);
    else kept = { frame, bitmap: await picture(`${frame.links.machine_view}&width=${WIDTH}`, { signal: this.leaving.signal }) };
    this.pictures.set(frame.frame, kept);
    if (this.pictures.size > PICTURES) {
      const [oldest] = this.pictures;
      oldest[1].bitmap.close();
      this.pictures.delete(oldest[0]);
    }
    const { bitmap } = kept;
    const { width, height, detections } = frame.result;
    this.canvas.width = bitmap.width;
    this.canvas.height = bitmap.height;
    const context = this.canvas.getContext("2d");
    context.drawImage(bitmap, 0, 0);
    drawDetections(context, detections, { left: 0, top: 0, scale: bitmap.width / width }, bitmap.width / Math.max(this.canvas.clientWidth, 1));
    this.canvas.dataset.frame = frame.frame;
    this.canvas.hidden = false;
    this.blank.hidden = true;
    chips(this.chips, detections);
    this.moment.textContent = momentOf(frame, height);
  }

  putNothing(text, frame = null) {
    this.canvas.hidden = true;
    delete this.canvas.dataset.frame;
    this.blank.hidden = false;
    this.blank.textContent = text;
    this.link.hidden = frame === null;
    this.moment.textContent = inWords(this.shownAt, 0);
    this.chips.replaceChildren();
  }

  describe(time, latest) {
    this.shownAt = time;
    const bucket = this.bucketAt(time);
    const gap = this.gapAt(time);
    const facts = [];
    if (latest) facts.push(["Shown", "the latest frame"]);
    if (gap) facts.push(["Gap", `no frames for ${lasting((Date.parse(gap.to) - Date.parse(gap.from)) / 1000)}`]);
    else if (bucket) {
      const seen = Object.entries(bucket.labels).map(([label, most]) => (most > 1 ? `${label} × ${most}` : label));
      facts.push(
        [`In ${lasting(bucket.seconds)}`, `${plural(bucket.frames, "frame")}, ${bytes(bucket.machine_bytes)} for machines, ${bytes(bucket.enhancement_bytes)} more for people`],
        ["Seen", seen.join(", ") || "nothing"],
        ["Kept", VIEWABLE[bucket.viewable]],
      );
      if (bucket.alerts) facts.push(["Alerts", plural(bucket.alerts, "frame")]);
    } else facts.push(["Known", this.beyond(time)]);
    this.facts.replaceChildren(...facts.flatMap(([term, text]) => [element("dt", {}, term), element("dd", {}, text)]));
  }

  beyond(time) {
    const { oldest } = this.scale.timeline ?? {};
    if (time > Date.now()) return "this time is yet to come";
    return oldest && time >= Date.parse(oldest) ? "nothing" : "the history begins later";
  }

  tellSlider() {
    const { element: slider, timeline, cursor } = this.scale;
    const oldest = timeline?.oldest ? Date.parse(timeline.oldest) : this.scale.from;
    const now = cursor ?? Math.min(Date.now(), this.scale.to);
    slider.setAttribute("aria-valuemin", Math.round(Math.min(oldest, now) / 1000));
    slider.setAttribute("aria-valuemax", Math.round(Math.max(Date.now(), now) / 1000));
    slider.setAttribute("aria-valuenow", Math.round(now / 1000));
    const bucket = this.bucketAt(now);
    const seen = Object.entries(bucket?.labels ?? {}).map(([label, most]) => `${most} ${label}`);
    const what = this.gapAt(now) ? "no frames" : bucket ? seen.join(", ") || "nothing seen" : "nothing known";
    slider.setAttribute("aria-valuetext", `${this.following && cursor === null ? "Live, " : ""}${inWords(now, 0)}, ${what}`);
  }

  tellStretch() {
    this.follow.setAttribute("aria-pressed", this.following);
    for (const preset of this.presets) preset.setAttribute("aria-pressed", Math.abs(Number(preset.dataset.span) / this.scale.span - 1) < 0.01);
    if (document.activeElement !== this.when) this.when.value = localText(this.current);
  }

  tellState({ state }) {
    if (!state || this.state.dataset.state === state) return;
    this.state.dataset.state = state;
    this.state.textContent = state;
  }

  tell(text) {
    this.note.textContent = text;
  }

  fillTable() {
    if (!this.details.open) return;
    const { buckets = [], gaps = [] } = this.scale.timeline ?? {};
    const inView = (from, to) => from < this.scale.to && to > this.scale.from;
    const rows = [
      ...buckets.map((bucket) => ({ from: Date.parse(bucket.start), to: Date.parse(bucket.start) + bucket.seconds * 1000, bucket })),
      ...gaps.map((gap) => ({ from: Date.parse(gap.from), to: Date.parse(gap.to) })),
    ].filter(({ from, to }) => inView(from, to)).sort((one, other) => other.from - one.from);
    this.table.replaceChildren(...rows.slice(0, ROWS).map(({ from, to, bucket }) => {
      const address = `#/cameras/${encodeURIComponent(this.camera)}/at/${encodeURIComponent(new Date(bucket ? Date.parse(bucket.first_at) : from).toISOString())}`;
      const start = element("td", {}, element("a", { href: address }, inWords(from, 0)));
      if (!bucket) return element("tr", {}, start, element("td", { colspan: 4, class: "failure" }, `no frames for ${lasting((to - from) / 1000)}`));
      const seen = Object.entries(bucket.labels).map(([label, most]) => `${most} ${label}`).join(", ");
      return element("tr", {}, start, element("td", { class: "number" }, String(bucket.frames)), element("td", {}, seen || "–"), element("td", { class: "number" }, bucket.alerts ? String(bucket.alerts) : "–"), element("td", {}, VIEWABLE[bucket.viewable]));
    }));
  }

  /** The address tells what is shown, for whoever loads it again or is sent it. */
  remember() {
    if (location.hash !== this.address) return; // somebody has left, and the page is not yet told
    const span = Math.round(this.scale.span / 1000);
    const moment = this.following && this.scale.cursor === null ? "" : `/at/${new Date(this.current).toISOString()}`;
    this.address = `#/cameras/${encodeURIComponent(this.camera)}${moment}${span === HOUR / 1000 ? "" : `?span=${span}`}`;
    history.replaceState(null, "", this.address);
  }

  toExports() {
    const [from, to] = [this.scale.from, Math.min(this.scale.to, Date.now())].map((at) => new Date(at).toISOString());
    location.hash = `#/exports?${new URLSearchParams({ camera: this.camera, from, to })}`;
  }

  async share() {
    const at = this.scale.cursor ?? (this.following ? this.shownAt : this.current);
    const address = `${location.origin}${location.pathname}#/cameras/${encodeURIComponent(this.camera)}/at/${new Date(at).toISOString()}?span=${Math.round(this.scale.span / 1000)}`;
    try {
      await navigator.clipboard.writeText(address);
      this.tell(`Link to ${inWords(at, 0)} copied.`);
    } catch {
      this.tell(address); // a page that is not secure may not write there
    }
  }
}

function momentOf(frame) {
  return `${inWords(Date.parse(frame.captured_at), 0)} · frame ${frame.frame}`;
}

function localText(time) {
  const date = new Date(time);
  return new Date(time - date.getTimezoneOffset() * 60_000).toISOString().slice(0, 19);
}
