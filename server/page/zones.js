// Zones drawn on a camera's machine view: polygons whose corners are added, moved and deleted by mouse, touch and keys.

import { element } from "./dom.js";
import { colourOf } from "./draw.js";
import { percent } from "./words.js";

const SVG = "http://www.w3.org/2000/svg";
const FEWEST = 3;
const STEP = 0.01; // of the picture, for one press of an arrow key
const NEW_ZONE = [[0.3, 0.35], [0.7, 0.35], [0.7, 0.75], [0.3, 0.75]];
const HINT =
  "Drag corners, or a zone as a whole. The dots between corners make new ones. With the keyboard: Tab to a corner, " +
  "arrow keys move it (with Shift further), Insert adds one after it, Delete removes it.";

/** Edits `zones`, [{name, polygon}], in place; calls `changed` after each change and `selected` with the chosen zone. */
export class ZoneEditor {
  constructor(zones, { readOnly = false, changed = () => {}, selected = () => {} } = {}) {
    this.zones = zones;
    this.readOnly = readOnly;
    this.changed = changed;
    this.selected = selected;
    this.zone = null; // the one that is chosen
    this.corner = 0; // and its corner
    this.canvas = element("canvas", { width: 640, height: 360, role: "img", "aria-label": "Machine view of the camera" });
    this.svg = shape("svg", { role: "group", "aria-label": "Zones", preserveAspectRatio: "none" });
    this.stage = element("div", { class: "zone-stage" }, this.canvas, this.svg);
    this.status = element("p", { class: "quiet", role: "status" });
    this.tools = element(
      "div",
      { class: "bar zone-tools" },
      this.button("Add a zone", () => this.addZone()),
      this.button("Add a corner", () => this.addCorner(), () => this.zone),
      this.button("Remove the corner", () => this.removeCorner(), () => this.zone?.polygon.length > FEWEST),
    );
    this.root = element("div", { class: "zone-editor" }, this.stage, !readOnly && this.tools, this.status, !readOnly && element("p", { class: "hint" }, HINT));
    this.svg.addEventListener("pointerdown", (event) => this.take(event));
    this.svg.addEventListener("keydown", (event) => this.key(event));
    this.svg.addEventListener("focusin", (event) => this.focused(event.target));
    this.resized = new ResizeObserver(() => this.draw());
    this.resized.observe(this.stage);
  }

  button(title, act, may = () => true) {
    const made = element("button", { type: "button", onclick: act }, title);
    made.may = may;
    return made;
  }

  /** Draw zones over this picture. */
  show(bitmap) {
    this.canvas.width = bitmap.width;
    this.canvas.height = bitmap.height;
    this.canvas.getContext("2d").drawImage(bitmap, 0, 0);
    this.draw();
  }

  /** Other zones take the place of those there were. */
  replace(zones) {
    this.zones = zones;
    this.choose(zones[0] ?? null);
  }

  choose(zone, corner = 0) {
    this.zone = zone;
    this.corner = corner;
    this.draw();
    this.selected(zone);
  }

  addZone() {
    let number = this.zones.length + 1;
    while (this.zones.some(({ name }) => name === `zone ${number}`)) number += 1;
    const zone = { name: `zone ${number}`, polygon: NEW_ZONE.map((corner) => [...corner]), labels: null, minimum_score: 0, dwell_s: 0, alert: false };
    this.zones.push(zone);
    this.choose(zone);
    this.tell(`${zone.name} added.`);
  }

  removeZone(zone) {
    this.zones.splice(this.zones.indexOf(zone), 1);
    this.choose(this.zones[0] ?? null);
    this.tell(`${zone.name} removed.`);
  }

  /** A corner in the middle of the edge that begins at the chosen one. */
  addCorner(after = this.corner) {
    const { polygon } = this.zone;
    polygon.splice(after + 1, 0, middle(polygon[after], polygon[(after + 1) % polygon.length]));
    this.corner = after + 1;
    this.tell(`Corner ${this.corner + 1} added.`, true);
  }

  removeCorner() {
    const { polygon } = this.zone;
    if (polygon.length <= FEWEST) {
      this.status.textContent = `A zone has at least ${FEWEST} corners.`;
      return;
    }
    polygon.splice(this.corner, 1);
    const removed = this.corner + 1;
    this.corner = Math.max(0, this.corner - 1);
    this.tell(`Corner ${removed} removed.`, true);
  }

  tell(text, focus = false) {
    this.draw();
    if (focus) this.focusCorner();
    this.status.textContent = text;
    this.changed();
  }

  focusCorner() {
    this.svg.querySelector(`[data-corner="${this.corner}"]`)?.focus({ preventScroll: true });
  }

  focused(target) {
    const corner = target.dataset?.corner;
    if (corner !== undefined && Number(corner) !== this.corner) {
      this.corner = Number(corner);
      this.mark();
    }
  }

  take(event) {
    const held = event.target.closest("[data-zone]");
    if (!held || event.button !== 0) return;
    const zone = this.zones[Number(held.dataset.zone)];
    let corner = held.dataset.corner === undefined ? null : Number(held.dataset.corner);
    event.preventDefault();
    if (zone !== this.zone) this.choose(zone, corner ?? 0);
    if (this.readOnly) return;
    if (held.dataset.edge !== undefined) {
      corner = Number(held.dataset.edge) + 1;
      this.addCorner(corner - 1);
    } else if (corner !== null) this.corner = corner;
    if (corner !== null) this.focusCorner();
    this.drag(event, zone, corner);
  }

  /** Move a corner, or all of the zone when there is none, until the pointer is let go. */
  drag(event, zone, corner) {
    const begun = this.at(event);
    const before = zone.polygon.map(([x, y]) => [x, y]);
    let has = false;
    const move = (moved) => {
      if (moved.pointerId !== event.pointerId) return;
      const [x, y] = this.at(moved);
      const by = within(corner === null ? before : [before[corner]], x - begun[0], y - begun[1]);
      zone.polygon = before.map(([left, top], number) => (corner === null || number === corner ? [round(left + by[0]), round(top + by[1])] : [left, top]));
      has = true;
      this.draw();
    };
    const end = (ended) => {
      if (ended.pointerId !== event.pointerId) return;
      removeEventListener("pointermove", move);
      removeEventListener("pointerup", end);
      removeEventListener("pointercancel", end);
      if (has) this.changed();
    };
    addEventListener("pointermove", move);
    addEventListener("pointerup", end);
    addEventListener("pointercancel", end);
  }

  /** Where on the picture a pointer is, as shares. */
  at({ clientX, clientY }) {
    const box = this.stage.getBoundingClientRect();
    return [(clientX - box.left) / box.width, (clientY - box.top) / box.height];
  }

  key(event) {
    const { zone, corner } = event.target.dataset;
    if (this.readOnly || zone === undefined) return;
    if (corner === undefined) {
      if (event.key !== "Enter" && event.key !== " ") return;
      event.preventDefault();
      this.choose(this.zones[Number(zone)]);
      this.focusCorner();
      return;
    }
    const step = event.shiftKey ? 5 * STEP : STEP;
    const ways = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] };
    if (event.key in ways) {
      const point = this.zone.polygon[this.corner];
      const [x, y] = within([point], ...ways[event.key]);
      this.zone.polygon[this.corner] = [round(point[0] + x), round(point[1] + y)];
      this.tell(where(this.zone, this.corner), true);
    } else if (event.key === "Insert" || event.key === "+") this.addCorner();
    else if (event.key === "Delete" || event.key === "Backspace") this.removeCorner();
    else return;
    event.preventDefault();
  }

  draw() {
    const { width, height } = this.canvas;
    const unit = width / (this.stage.clientWidth || width); // of one pixel of the screen
    this.svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    const had = document.activeElement?.closest?.(".zone-stage") === this.stage ? { ...document.activeElement.dataset } : null;
    const others = this.zones.filter((zone) => zone !== this.zone);
    this.svg.replaceChildren(...[...others, this.zone].filter(Boolean).map((zone) => this.drawn(zone, width, height, unit)));
    if (had?.corner !== undefined) this.focusCorner();
    this.mark();
  }

  drawn(zone, width, height, unit) {
    const number = this.zones.indexOf(zone);
    const colour = colourOf(zone.name);
    const points = zone.polygon.map(([x, y]) => [x * width, y * height]);
    const chosen = zone === this.zone;
    const area = shape("polygon", { points: points.map((point) => point.join(",")).join(" "), fill: colour, stroke: colour, "stroke-width": (chosen ? 3 : 2) * unit, "data-zone": number, class: chosen ? "area chosen" : "area" });
    const top = points.reduce((best, point) => (point[1] < best[1] ? point : best));
    const text = shape("text", { x: top[0], y: Math.max(15 * unit, top[1] - 12 * unit), "font-size": 14 * unit, "stroke-width": 4 * unit, fill: colour });
    text.textContent = zone.name;
    const parts = [area, text];
    if (chosen && !this.readOnly) {
      for (const [index, point] of points.entries()) parts.push(this.handle(middle(point, points[(index + 1) % points.length]), 5 * unit, unit, colour, { "data-zone": number, "data-edge": index, class: "edge" }));
      for (const [index, point] of points.entries()) {
        parts.push(this.handle(point, 8 * unit, unit, colour, { "data-zone": number, "data-corner": index, class: "corner", tabindex: 0, role: "button", "aria-label": where(zone, index) }));
      }
    } else if (!this.readOnly) {
      for (const [name, value] of Object.entries({ tabindex: 0, role: "button", "aria-label": `Choose ${zone.name}` })) area.setAttribute(name, value);
    }
    const group = shape("g", {});
    group.append(...parts);
    return group;
  }

  /** A dot with a ring around it that fingers can hit. */
  handle([x, y], radius, unit, colour, attributes) {
    const made = shape("g", attributes);
    made.append(shape("circle", { cx: x, cy: y, r: (attributes.class === "corner" ? 20 : 13) * unit, class: "reach" }), shape("circle", { cx: x, cy: y, r: radius, fill: colour, "stroke-width": 2 * unit, class: "dot" }));
    return made;
  }

  /** Show which corner is chosen, and what can be done. */
  mark() {
    for (const made of this.svg.querySelectorAll(".corner")) made.classList.toggle("chosen", Number(made.dataset.corner) === this.corner);
    for (const button of this.tools.children) button.disabled = !button.may();
  }

  leave() {
    this.resized.disconnect();
  }
}

function where(zone, corner) {
  const [x, y] = zone.polygon[corner];
  return `Corner ${corner + 1} of ${zone.name}, ${percent(x)} across, ${percent(y)} down`;
}

/** How far points can go by (x, y) within the picture. */
function within(points, x, y) {
  const clamp = (value, index) => {
    const all = points.map((point) => point[index]);
    return Math.min(1 - Math.max(...all), Math.max(-Math.min(...all), value));
  };
  return [clamp(x, 0), clamp(y, 1)];
}

function middle([left, top], [right, bottom]) {
  return [round((left + right) / 2), round((top + bottom) / 2)];
}

function round(share) {
  return Math.round(share * 10_000) / 10_000;
}

function shape(tag, attributes) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}
