// Machine view and human view of one frame upon each other, with what was recognised on top.

import { element } from "./dom.js";
import { colourOf, drawDetections } from "./draw.js";
import { drawMask } from "./masks.js";

const FURTHEST = 16;

export class Stage {
  constructor(frame) {
    this.frame = frame;
    this.machine = null;
    this.human = null;
    this.sharp = false; // whether all slices of the human view are shown
    this.pointed = null;
    this.scale = 1;
    this.x = 0;
    this.y = 0;
    this.split = 50; // percent of the stage's width that shows the machine view, once there is a human view

    this.machineCanvas = element("canvas", { id: "machine-view", role: "img", "aria-label": "Machine view" });
    this.humanCanvas = element("canvas", { id: "human-view", role: "img", "aria-label": "Human view", hidden: true });
    this.views = element("div", { class: "views" }, this.machineCanvas, this.humanCanvas);
    this.over = element("canvas", { class: "over", id: "boxes-view", "aria-hidden": "true" });
    this.divider = element("div", { class: "divider", hidden: true });
    this.left = element("span", { class: "tag left" }, "Machine view");
    this.right = element("span", { class: "tag right", hidden: true }, "Human view");
    this.progress = element("div", { class: "sharpening", hidden: true });
    this.blank = element("div", { class: "blank", role: "status" }, "Decoding the machine view…");
    this.element = element("figure", { class: "stage" }, this.views, this.over, this.left, this.right, this.divider, this.progress, this.blank);

    this.tools = this.makeTools();
    this.keys = {
      b: () => this.toggle("boxes"),
      m: () => this.toggle("masks"),
      t: () => this.toggle("tracks"),
      "+": () => this.zoom(1.5),
      "-": () => this.zoom(1 / 1.5),
      0: () => this.reset(),
    };
    this.resized = new ResizeObserver(() => this.update());
    this.resized.observe(this.element);
    this.listen();
    this.shape(frame.result?.width || 16, frame.result?.height || 9);
  }

  leave() {
    this.resized.disconnect();
    cancelAnimationFrame(this.updating);
  }

  makeTools() {
    const box = (id, label, key) => {
      const input = element("input", { type: "checkbox", id, checked: true });
      input.addEventListener("change", () => this.update());
      this[id] = input;
      return element("label", { class: "choice", title: key }, input, label);
    };
    const detections = this.frame.result?.detections ?? [];
    this.slider = element("input", { type: "range", id: "split", min: 0, max: 100, step: 1, value: this.split, "aria-label": "How much of the machine view is shown, beside the human view", disabled: true });
    this.slider.addEventListener("input", () => this.setSplit(Number(this.slider.value)));
    this.zoomed = element("output", { "aria-label": "Zoom" }, "100 %");
    return element(
      "div",
      { class: "tools", role: "group", "aria-label": "What is shown" },
      element("div", { class: "compare" }, element("span", { class: "quiet" }, "Human"), this.slider, element("span", { class: "quiet" }, "Machine")),
      element(
        "div",
        { class: "group" },
        box("boxes", "Boxes", "B"),
        detections.some(({ mask }) => mask) && box("masks", "Masks", "M"),
        detections.some(({ track }) => track) && box("tracks", "Tracks", "T"),
      ),
      element(
        "div",
        { class: "group" },
        element("button", { type: "button", title: "−", "aria-label": "Zoom out", onclick: () => this.zoom(1 / 1.5) }, "−"),
        this.zoomed,
        element("button", { type: "button", title: "+", "aria-label": "Zoom in", onclick: () => this.zoom(1.5) }, "+"),
        element("button", { type: "button", title: "0", onclick: () => this.reset() }, "Fit"),
      ),
    );
  }

  toggle(id) {
    if (!this[id]) return;
    this[id].checked = !this[id].checked;
    this.update();
  }

  shape(width, height) {
    this.width = width;
    this.height = height;
    this.element.style.aspectRatio = `${width} / ${height}`;
  }

  setMachine(bitmap) {
    this.machine = bitmap;
    this.shape(bitmap.width, bitmap.height);
    put(this.machineCanvas, bitmap);
    this.element.dataset.machine = this.frame.frame;
    this.blank.hidden = true;
    this.update();
  }

  setHuman(bitmap, slices, count) {
    this.human = bitmap;
    this.shape(bitmap.width, bitmap.height);
    put(this.humanCanvas, bitmap);
    this.blank.hidden = true;
    this.element.dataset.slices = slices;
    this.progress.hidden = slices === count;
    this.progress.style.width = `${(100 * slices) / count}%`;
    if (this.humanCanvas.hidden) {
      this.humanCanvas.hidden = this.divider.hidden = this.right.hidden = this.slider.disabled = false;
      this.setSplit(0);
    }
    this.sharp = slices === count;
    if (this.sharp) this.element.dispatchEvent(new Event("sharp"));
    this.update();
  }

  setSplit(percent) {
    this.split = Math.max(0, Math.min(100, percent));
    this.slider.value = this.split;
    this.update();
  }

  tell(text) {
    this.blank.textContent = text;
    this.blank.hidden = false;
  }

  /** Show one detection alone, or all again. */
  point(detection) {
    this.pointed = detection;
    this.update();
  }

  zoom(factor, x = this.element.clientWidth / 2, y = this.element.clientHeight / 2) {
    const scale = Math.max(1, Math.min(FURTHEST, this.scale * factor));
    this.x = x - ((x - this.x) * scale) / this.scale;
    this.y = y - ((y - this.y) * scale) / this.scale;
    this.scale = scale;
    this.update();
  }

  reset() {
    this.scale = 1;
    this.x = this.y = 0;
    this.update();
  }

  listen() {
    this.element.addEventListener(
      "wheel",
      (event) => {
        if (!event.ctrlKey && this.scale === 1 && event.deltaY > 0) return;
        event.preventDefault();
        const { left, top } = this.element.getBoundingClientRect();
        this.zoom(Math.exp(-event.deltaY / 400), event.clientX - left, event.clientY - top);
      },
      { passive: false },
    );
    const held = new Map();
    this.element.addEventListener("pointerdown", (event) => {
      const dragged = event.target === this.divider ? "divider" : "picture";
      held.set(event.pointerId, { dragged, x: event.clientX, y: event.clientY });
      if (dragged === "divider" || this.scale > 1 || held.size > 1) this.element.setPointerCapture(event.pointerId);
    });
    this.element.addEventListener("pointermove", (event) => {
      const from = held.get(event.pointerId);
      if (!from) return;
      const { left, top, width } = this.element.getBoundingClientRect();
      if (from.dragged === "divider") this.setSplit((100 * (event.clientX - left)) / width);
      else if (held.size === 2) {
        const other = [...held].find(([id]) => id !== event.pointerId)[1];
        const [before, now] = [from, { x: event.clientX, y: event.clientY }].map(({ x, y }) => Math.hypot(x - other.x, y - other.y));
        this.zoom(now / Math.max(1, before), (event.clientX + other.x) / 2 - left, (event.clientY + other.y) / 2 - top);
      } else if (this.scale > 1) {
        this.x += event.clientX - from.x;
        this.y += event.clientY - from.y;
        this.update();
      }
      Object.assign(from, { x: event.clientX, y: event.clientY });
    });
    for (const end of ["pointerup", "pointercancel"]) this.element.addEventListener(end, (event) => held.delete(event.pointerId));
  }

  update() {
    cancelAnimationFrame(this.updating);
    this.updating = requestAnimationFrame(() => this.paint());
  }

  paint() {
    const { clientWidth: width, clientHeight: height } = this.element;
    if (width === 0) return;
    this.x = Math.min(0, Math.max(width * (1 - this.scale), this.x));
    this.y = Math.min(0, Math.max(height * (1 - this.scale), this.y));
    this.views.style.transform = `translate(${this.x}px, ${this.y}px) scale(${this.scale})`;
    this.element.classList.toggle("zoomed", this.scale > 1);
    this.zoomed.textContent = `${Math.round(this.scale * 100)} %`;
    const edge = (width * this.split) / 100;
    this.divider.style.left = `${edge}px`;
    this.humanCanvas.style.clipPath = `inset(0 0 0 ${Math.max(0, (edge - this.x) / this.scale)}px)`;
    this.left.hidden = this.human !== null && this.split < 8;
    this.right.hidden = this.human === null || this.split > 92;
    this.paintOver(width, height);
  }

  paintOver(width, height) {
    const unit = devicePixelRatio;
    this.over.width = Math.round(width * unit);
    this.over.height = Math.round(height * unit);
    const within = Math.min(width / this.width, height / this.height);
    const place = {
      scale: within * this.scale * unit,
      left: (((width - this.width * within) / 2) * this.scale + this.x) * unit,
      top: (((height - this.height * within) / 2) * this.scale + this.y) * unit,
    };
    const context = this.over.getContext("2d");
    const all = this.frame.result?.detections ?? [];
    const drawn = this.pointed ? [this.pointed] : all;
    if (this.masks?.checked || this.pointed) for (const { mask, label } of drawn) if (mask) drawMask(context, mask, colourOf(label), place);
    if (!this.boxes.checked && !this.pointed) return;
    const tracks = this.tracks?.checked;
    drawDetections(context, drawn.map((detection) => (tracks && detection.track ? { ...detection, name: `${detection.label} ${detection.track}` } : detection)), place, unit);
  }
}

function put(canvas, bitmap) {
  canvas.width = bitmap.width;
  canvas.height = bitmap.height;
  canvas.getContext("2d").drawImage(bitmap, 0, 0);
}
