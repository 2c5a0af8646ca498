// A stretch of time on a canvas: when there were frames and gaps, what was seen, what can still be looked at. It can be
// dragged, pinched, wheeled and steered by keys; what any of that means is up to the page.

import { element } from "./dom.js";
import { colourOf } from "./draw.js";

/** The least and the most that is shown, in milliseconds. */
export const SHORTEST = 10_000;
export const LONGEST = 32 * 86_400_000;
const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const STEPS = [1, 2, 5, 10, 15, 30].map((each) => each * SECOND)
  .concat([1, 2, 5, 10, 15, 30].map((each) => each * MINUTE))
  .concat([1, 2, 3, 6, 12].map((each) => each * HOUR))
  .concat([1, 2, 7, 14].map((each) => each * DAY));
const AXIS = 26;
const FRAMES = 52;
const ALERTS = 20;
const LANE = 19;
const SPACE = 3;
const NARROW = 620;
const MOST_LANES = 7;

export class Timescale {
  /**
   * `view` is called with nothing when the stretch that is shown has changed, `point` with a time when somebody points
   * there (null: no longer), `pick` when a time is chosen, `open` when its frame is wanted.
   */
  constructor({ from, to, view, point, pick, open }) {
    Object.assign(this, { from, to, told: { view, point, pick, open } });
    this.timeline = null;
    this.label = "";
    this.cursor = null;
    this.pointed = null;
    this.pointers = new Map();
    this.canvas = element("canvas", { "aria-hidden": "true" });
    this.element = element("div", { class: "timescale", role: "slider", tabindex: 0, "aria-label": "Moment" }, this.canvas);
    this.probe = element("span", { hidden: true });
    this.element.append(this.probe);
    this.resized = new ResizeObserver(() => this.draw());
    this.resized.observe(this.element);
    this.scheme = matchMedia("(prefers-color-scheme: dark)");
    this.repaint = () => this.draw();
    this.scheme.addEventListener("change", this.repaint);
    this.listen();
  }

  leave() {
    this.resized.disconnect();
    this.scheme.removeEventListener("change", this.repaint);
    cancelAnimationFrame(this.drawing);
  }

  get span() {
    return this.to - this.from;
  }

  get lanes() {
    if (this.label) return [this.label];
    const frames = new Map();
    for (const bucket of this.timeline?.buckets ?? []) {
      for (const [label, count] of Object.entries(bucket.label_frames)) frames.set(label, (frames.get(label) ?? 0) + count);
    }
    return [...frames].sort((one, other) => other[1] - one[1] || one[0].localeCompare(other[0])).slice(0, MOST_LANES).map(([label]) => label).sort();
  }

  get gutter() {
    return this.element.clientWidth < NARROW ? 0 : 96;
  }

  timeAt(x) {
    return this.from + ((x - this.gutter) / (this.element.clientWidth - this.gutter)) * this.span;
  }

  placeOf(time) {
    return this.gutter + ((time - this.from) / this.span) * (this.element.clientWidth - this.gutter);
  }

  /** Show another stretch. */
  look(from, to) {
    const span = Math.min(Math.max(to - from, SHORTEST), LONGEST);
    const middle = (from + to) / 2;
    // Not into a time that is not yet.
    const last = Date.now() + span * 0.5;
    this.to = Math.min(middle + span / 2, last);
    this.from = this.to - span;
    this.draw();
    this.told.view();
  }

  zoom(factor, around = this.cursor !== null && this.cursor > this.from && this.cursor < this.to ? this.cursor : (this.from + this.to) / 2) {
    const span = Math.min(Math.max(this.span * factor, SHORTEST), LONGEST);
    const share = (around - this.from) / this.span;
    this.look(around - share * span, around + (1 - share) * span);
  }

  pan(time) {
    this.look(this.from + time, this.to + time);
  }

  listen() {
    const { element: own, pointers } = this;
    const placeOf = (event) => event.clientX - own.getBoundingClientRect().left;
    own.addEventListener("wheel", (event) => {
      event.preventDefault();
      const unit = event.deltaMode === 1 ? 18 : 1;
      const sideways = event.shiftKey ? event.deltaY || event.deltaX : event.deltaX;
      if (!event.ctrlKey && (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY))) {
        this.pan((sideways * unit * this.span) / own.clientWidth);
      } else this.zoom(Math.exp(Math.max(-200, Math.min(200, event.deltaY * unit)) * 0.002), this.timeAt(placeOf(event)));
    }, { passive: false });
    own.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      own.setPointerCapture(event.pointerId);
      pointers.set(event.pointerId, placeOf(event));
      this.moved = pointers.size > 1;
    });
    own.addEventListener("pointermove", (event) => {
      const x = placeOf(event);
      if (!pointers.has(event.pointerId)) {
        if (event.pointerType === "mouse") this.point(this.timeAt(x));
        return;
      }
      const before = [...pointers.values()];
      if (!this.moved && Math.abs(x - before[0]) < 5) return;
      this.moved = true;
      pointers.set(event.pointerId, x);
      const after = [...pointers.values()];
      if (after.length === 1) this.pan(this.timeAt(before[0]) - this.timeAt(x));
      else {
        const apart = (places) => Math.max(Math.abs(places[0] - places[1]), 8);
        const middle = (before[0] + before[1]) / 2;
        this.pan(this.timeAt(middle) - this.timeAt((after[0] + after[1]) / 2));
        this.zoom(apart(before) / apart(after), this.timeAt((after[0] + after[1]) / 2));
      }
    });
    own.addEventListener("pointerup", (event) => {
      const held = pointers.delete(event.pointerId);
      const x = placeOf(event);
      if (!held || this.moved || x < this.gutter) return;
      this.told.pick(this.timeAt(x));
      if (event.pointerType === "mouse") this.told.open(this.timeAt(x));
    });
    own.addEventListener("pointercancel", (event) => pointers.delete(event.pointerId));
    own.addEventListener("pointerleave", () => this.point(null));
  }

  point(time) {
    const inside = time !== null && time >= this.from && time <= this.to ? time : null;
    if (inside === this.pointed) return;
    this.pointed = inside;
    this.draw();
    this.told.point(inside);
  }

  draw() {
    this.drawing ||= requestAnimationFrame(() => {
      this.drawing = 0;
      this.paint();
    });
  }

  colour(name) {
    this.probe.style.color = `var(--${name})`;
    return getComputedStyle(this.probe).color;
  }

  paint() {
    const lanes = this.lanes;
    const width = this.element.clientWidth;
    const height = AXIS + FRAMES + ALERTS + Math.max(lanes.length, 1) * (LANE + SPACE) + 2 * SPACE;
    const unit = devicePixelRatio;
    if (this.canvas.width !== Math.round(width * unit) || this.canvas.height !== Math.round(height * unit)) {
      this.canvas.width = Math.round(width * unit);
      this.canvas.height = Math.round(height * unit);
      this.canvas.style.height = `${height}px`;
    }
    const context = this.canvas.getContext("2d");
    context.setTransform(unit, 0, 0, unit, 0, 0);
    context.clearRect(0, 0, width, height);
    context.font = "12px system-ui, sans-serif";
    context.textBaseline = "middle";
    const colours = Object.fromEntries(["ink", "quiet", "line", "accent", "danger", "ground", "raised", "sheet"].map((name) => [name, this.colour(name)]));
    const { gutter } = this;
    context.save();
    context.beginPath();
    context.rect(gutter, 0, width - gutter, height);
    context.clip();
    this.paintAxis(context, colours, width, height);
    this.paintGaps(context, colours, height);
    this.paintFrames(context, colours);
    this.paintLanes(context, colours, lanes, width);
    this.paintMoments(context, colours, width, height);
    context.restore();
    if (gutter) this.paintNames(context, colours, lanes);
  }

  paintAxis(context, colours, width, height) {
    const step = STEPS.find((each) => (each / this.span) * (width - this.gutter) >= (each < MINUTE ? 92 : 74)) ?? 28 * DAY;
    const zone = new Date(this.from).getTimezoneOffset() * MINUTE;
    for (let time = Math.ceil((this.from - zone) / step) * step + zone; time <= this.to; time += step) {
      const x = Math.round(this.placeOf(time)) + 0.5;
      const date = new Date(time);
      const midnight = date.getHours() === 0 && date.getMinutes() === 0 && date.getSeconds() === 0;
      context.fillStyle = colours.line;
      context.fillRect(x, AXIS - 6, 1, height);
      context.fillStyle = midnight ? colours.ink : colours.quiet;
      const text = midnight
        ? date.toLocaleDateString(undefined, { day: "numeric", month: "short" })
        : date.toLocaleTimeString(undefined, { hour: "2-digit", minute: "2-digit", ...(step < MINUTE && { second: "2-digit" }) });
      context.fillText(text, x + 4, AXIS / 2 - 2);
    }
    const now = this.placeOf(Date.now());
    if (now < width) {
      context.fillStyle = colours.ground;
      context.globalAlpha = 0.75;
      context.fillRect(now, AXIS, width - now, height);
      context.globalAlpha = 1;
      context.fillStyle = colours.accent;
      context.fillRect(now, AXIS - 6, 1.5, height);
    }
  }

  paintGaps(context, colours, height) {
    for (const gap of this.timeline?.gaps ?? []) {
      const [left, right] = [this.placeOf(Date.parse(gap.from)), this.placeOf(Date.parse(gap.to))];
      if (right < this.gutter || left > this.element.clientWidth) continue;
      const [from, to] = [Math.max(left, this.gutter), Math.min(right, this.element.clientWidth)];
      context.save();
      context.beginPath();
      context.rect(from, AXIS, Math.max(to - from, 1), height - AXIS);
      context.clip();
      context.fillStyle = context.strokeStyle = colours.danger;
      context.globalAlpha = 0.08;
      context.fillRect(from, AXIS, Math.max(to - from, 1), height);
      context.globalAlpha = 0.28;
      context.beginPath();
      for (let x = from - ((from - left) % 8) - height; x < to + height; x += 8) {
        context.moveTo(x, height);
        context.lineTo(x + height - AXIS, AXIS);
      }
      context.stroke();
      context.restore();
      if (to - from > 76) {
        context.fillStyle = colours.danger;
        context.textAlign = "center";
        context.fillText("no frames", (from + to) / 2, AXIS + FRAMES / 2);
        context.textAlign = "left";
      }
    }
  }

  * visible() {
    for (const bucket of this.timeline?.buckets ?? []) {
      const start = Date.parse(bucket.start);
      const left = this.placeOf(start);
      const right = this.placeOf(start + bucket.seconds * 1000);
      if (right < this.gutter || left > this.element.clientWidth) continue;
      yield [bucket, left, Math.max(right - left - (right - left > 8 ? 1 : 0), 1)];
    }
  }

  paintFrames(context, colours) {
    const shown = [...this.visible()];
    const most = Math.max(...shown.map(([bucket]) => bucket.frames / bucket.seconds), 1e-9);
    for (const [bucket, left, width] of shown) {
      const height = 4 + (FRAMES - 10) * Math.sqrt(bucket.frames / bucket.seconds / most);
      context.fillStyle = bucket.viewable === "none" ? colours.quiet : colours.accent;
      context.globalAlpha = { none: 0.4, machine: 0.55, human: 1 }[bucket.viewable];
      context.fillRect(left, AXIS + FRAMES - height, width, height);
    }
    context.globalAlpha = 1;
  }

  paintLanes(context, colours, lanes, width) {
    const top = AXIS + FRAMES + ALERTS;
    lanes.forEach((label, lane) => {
      const y = top + lane * (LANE + SPACE);
      context.fillStyle = colours.raised;
      context.globalAlpha = 0.55;
      context.fillRect(this.gutter, y, width, LANE);
      context.globalAlpha = 1;
    });
    for (const [bucket, left, across] of this.visible()) {
      lanes.forEach((label, lane) => {
        if (!(label in bucket.labels)) return;
        context.fillStyle = colourOf(label);
        context.globalAlpha = 0.4 + 0.6 * Math.min(1, bucket.label_frames[label] / bucket.frames);
        context.fillRect(left, top + lane * (LANE + SPACE), Math.max(across, 2), LANE);
      });
      context.globalAlpha = 1;
      if (bucket.alerts > 0) diamond(context, colours.danger, left + across / 2, AXIS + FRAMES + ALERTS / 2);
    }
    if (this.gutter) return;
    lanes.forEach((label, lane) => this.tag(context, colours, label, 4, top + lane * (LANE + SPACE) + LANE / 2));
  }

  tag(context, colours, text, x, y) {
    const width = context.measureText(text).width + 8;
    context.fillStyle = colours.sheet;
    context.globalAlpha = 0.85;
    context.fillRect(x, y - 8, width, 16);
    context.globalAlpha = 1;
    context.fillStyle = colours.ink;
    context.fillText(text, x + 4, y + 0.5);
  }

  paintMoments(context, colours, width, height) {
    const line = (time, colour, strong) => {
      const x = this.placeOf(time);
      context.fillStyle = colour;
      context.fillRect(x - (strong ? 1 : 0.5), AXIS - 6, strong ? 2 : 1, height);
      return x;
    };
    if (this.cursor !== null) {
      const x = line(this.cursor, colours.ink, true);
      context.beginPath();
      context.moveTo(x - 6, AXIS - 9);
      context.lineTo(x + 6, AXIS - 9);
      context.lineTo(x, AXIS - 1);
      context.fill();
    }
    if (this.pointed === null) return;
    const x = line(this.pointed, colours.quiet, false);
    const text = inWords(this.pointed, this.span);
    const across = context.measureText(text).width + 12;
    const left = Math.max(this.gutter, Math.min(x - across / 2, width - across));
    context.fillStyle = colours.ink;
    context.fillRect(left, 1, across, AXIS - 8);
    context.fillStyle = colours.sheet;
    context.fillText(text, left + 6, AXIS / 2 - 2);
  }

  paintNames(context, colours, lanes) {
    context.fillStyle = colours.quiet;
    context.textAlign = "right";
    const name = (text, y) => {
      let shown = text;
      while (shown.length > 3 && context.measureText(shown).width > this.gutter - 14) shown = `${shown.replace("…", "").slice(0, -1)}…`;
      context.fillText(shown, this.gutter - 10, y);
    };
    name("Frames", AXIS + FRAMES / 2);
    name("Alerts", AXIS + FRAMES + ALERTS / 2);
    context.fillStyle = colours.ink;
    const top = AXIS + FRAMES + ALERTS;
    lanes.forEach((label, lane) => name(label, top + lane * (LANE + SPACE) + LANE / 2));
    context.textAlign = "left";
  }
}

function diamond(context, colour, x, y) {
  context.fillStyle = colour;
  context.beginPath();
  context.moveTo(x, y - 6);
  context.lineTo(x + 6, y);
  context.lineTo(x, y + 6);
  context.lineTo(x - 6, y);
  context.fill();
}

/** A moment of a stretch, as exactly as its length asks for. */
export function inWords(time, span) {
  const date = new Date(time);
  const clock = date.toLocaleTimeString(undefined, { hour: "2-digit", minute: "2-digit", ...(span < 12 * HOUR && { second: "2-digit" }) });
  const today = date.toDateString() === new Date().toDateString();
  return today ? clock : `${date.toLocaleDateString(undefined, { weekday: "short", day: "numeric", month: "short" })} ${clock}`;
}
