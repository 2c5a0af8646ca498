// What operators say of a frame's result, once they see its human view: right, wrong, something else, missed.

import { Problem, get, ofCamera, send } from "./api.js";
import { append, element } from "./dom.js";
import { colourOf } from "./draw.js";
import { inFull, percent } from "./words.js";

const LEAST = 4; // pixels of a box's sides
const GONE = new Set(["not_stored", "expired", "evicted", "key_gone"]);
const WORDS = { right: "right", wrong: "wrong", missed: "missed" };
const KEYS = "J and U go through the detections, Y says right, N says wrong, X tells what was missed.";

/**
 * Fill `container` with a frame's marks. `context` is the page's, and has `stage`, `headers()` with the reason of the
 * human view, and `signal`.
 */
export async function marks(container, frame, context) {
  if (!frame.result || frame.result.failure) {
    container.remove();
    return;
  }
  const panel = new Marks(container, frame, context);
  try {
    await panel.open();
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
    container.replaceChildren(element("p", { class: "failure" }, `Marks cannot be shown. ${inFull(problem)}`));
  }
}

class Marks {
  constructor(container, frame, context) {
    this.container = container;
    this.frame = frame;
    this.context = context;
    this.address = ofCamera(frame.camera, "frames", frame.frame, "marks");
    this.me = context.session.person?.name ?? "loopback";
    this.all = [];
    this.shown = false;
    this.selected = -1;
  }

  async open() {
    const [told, { recognisers }] = await Promise.all([get(this.address), get("/v1/recognisers")]);
    this.all = told.marks;
    if (GONE.has(this.frame.enhancement.state) && this.all.length === 0) {
      this.container.remove();
      return;
    }
    const known = recognisers.filter(({ recogniser }) => recogniser === this.frame.result.recogniser);
    const labels = new Set([...known, ...(known.length ? [] : recognisers)].flatMap(({ labels }) => labels));
    for (const { label } of this.frame.result.detections) labels.add(label);
    this.build([...labels].sort());
    const { stage, signal } = this.context;
    stage.element.addEventListener("sharp", () => this.enable(), { signal });
    if (stage.sharp) this.enable();
    addEventListener("keydown", (event) => this.key(event), { signal });
    this.refresh();
    await this.sumUp();
  }

  /** How often what was seen here was right in all frames of the camera that anybody looked at. */
  async sumUp() {
    const { labels } = await get(`/v1/marks/summary?camera=${encodeURIComponent(this.frame.camera)}`);
    const here = new Set(this.frame.result.detections.map(({ label }) => label));
    const told = labels
      .filter(({ label, precision }) => here.has(label) && precision !== null)
      .map(({ label, right, wrong, precision_low, precision_high }) => `${label} right ${right} of ${right + wrong} (${percent(precision_low)} to ${percent(precision_high)})`);
    this.summary.textContent = told.length > 0 ? `So far on this camera: ${told.join(", ")}.` : "";
  }

  build(labels) {
    const { detections } = this.frame.result;
    this.told = element("p", { class: "quiet", role: "status", id: "marks-told" }, GONE.has(this.frame.enhancement.state) ? "Its human view is gone: nothing more can be verified." : "Ask for the human view first: the machine view is what the recogniser itself saw.");
    this.rows = detections.map((detection, number) => this.row(detection, number));
    this.summary = element("p", { class: "quiet summary", title: "Detections that were judged, with the interval of 95 %" });
    this.missed = element("ul", { class: "verdicts", "aria-label": "Missed" });
    this.drawButton = element("button", { type: "button", title: "X", "aria-pressed": "false", onclick: () => this.draw(!this.drawing) }, "Tell what was missed");
    this.overlay = shape("svg", { class: "marked", "aria-hidden": "true" });
    this.context.stage.views.append(this.overlay);
    this.container.classList.add("card");
    append(this.container, [
      element("h2", {}, "Right or wrong?"),
      this.told,
      element("datalist", { id: "marks-labels" }, labels.map((label) => element("option", { value: label }))),
      this.rows.length > 0 && element("ul", { class: "verdicts", "aria-label": "Verdicts" }, this.rows.map(({ line }) => line)),
      this.missed,
      this.drawButton,
      this.makeForm(),
      this.summary,
    ]);
    this.listen();
  }

  row(detection, number) {
    const { label, score } = detection;
    const chip = element("span", { class: "chip" }, label);
    chip.style.setProperty("--colour", colourOf(label));
    const [right, wrong] = ["right", "wrong"].map((verdict) =>
      element(
        "button",
        { type: "button", class: verdict, disabled: true, "aria-pressed": "false", title: verdict === "right" ? "Y" : "N", onclick: () => this.say(number, verdict) },
        verdict === "right" ? "Right" : "Wrong",
        element("span", { class: "visually-hidden" }, ` ${label}, detection ${number + 1}`),
      ),
    );
    const field = element("input", { list: "marks-labels", maxlength: 64, placeholder: "what else? Empty: nothing", "aria-label": `What detection ${number + 1} is instead`, hidden: true });
    field.addEventListener("change", () => this.correct(number, field.value.trim()));
    const others = element("span", { class: "quiet others" });
    const line = element("li", {}, chip, element("span", { class: "quiet" }, percent(score)), element("span", { class: "choose" }, right, wrong), field, others);
    line.addEventListener("pointerenter", () => this.context.stage.point(detection));
    line.addEventListener("pointerleave", () => this.context.stage.point(null));
    return { line, right, wrong, field, others };
  }

  makeForm() {
    this.label = element("input", { list: "marks-labels", required: true, maxlength: 64, autocomplete: "off" });
    this.sides = ["x_min", "y_min", "x_max", "y_max"].map((name) => {
      const input = element("input", { type: "number", min: 0, step: "any", required: true, name });
      input.addEventListener("input", () => this.place());
      return input;
    });
    this.form = element(
      "form",
      { id: "missed", hidden: true },
      element("p", { class: "quiet" }, "Draw a box on the picture, or give its edges in pixels."),
      element("label", { class: "field" }, "What is it?", this.label),
      element(
        "div",
        { class: "edges" },
        ["Left", "Top", "Right", "Bottom"].map((name, k) => element("label", { class: "field" }, name, this.sides[k])),
      ),
      element("div", { class: "choose" }, element("button", { class: "main" }, "Save"), element("button", { type: "button", onclick: () => this.draw(false) }, "Cancel")),
    );
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.saveMissed();
    });
    return this.form;
  }

  /** A box is drawn in pixels of the frame, however far the picture is zoomed. */
  listen() {
    let from = null;
    const at = (event) => {
      const point = new DOMPoint(event.clientX, event.clientY).matrixTransform(this.overlay.getScreenCTM().inverse());
      const { width, height } = this.frame.result;
      return { x: Math.max(0, Math.min(width, point.x)), y: Math.max(0, Math.min(height, point.y)) };
    };
    this.overlay.addEventListener("pointerdown", (event) => {
      if (!this.drawing) return;
      event.stopPropagation();
      event.preventDefault();
      this.overlay.setPointerCapture(event.pointerId);
      from = at(event);
    });
    this.overlay.addEventListener("pointermove", (event) => {
      if (!from) return;
      event.stopPropagation();
      const to = at(event);
      const box = [Math.min(from.x, to.x), Math.min(from.y, to.y), Math.max(from.x, to.x), Math.max(from.y, to.y)];
      this.sides.forEach((input, k) => (input.value = Math.round(10 * box[k]) / 10));
      this.place();
    });
    for (const end of ["pointerup", "pointercancel"])
      this.overlay.addEventListener(end, () => {
        if (from) this.label.focus();
        from = null;
      });
  }

  enable() {
    this.shown = true;
    this.tell(this.rows.length > 0 ? KEYS : "Nothing was detected. X tells what was missed.");
    this.refresh();
  }

  key(event) {
    if (!this.shown || !this.container.isConnected) return;
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select, textarea, dialog")) return;
    const { key } = event;
    if (key === "j") this.select(this.selected + 1);
    else if (key === "u") this.select(this.selected - 1);
    else if (key === "y" && this.selected >= 0) this.say(this.selected, "right");
    else if (key === "n" && this.selected >= 0) this.say(this.selected, "wrong");
    else if (key === "x") this.draw(!this.drawing);
    else if (key === "Escape" && this.drawing) this.draw(false);
    else return;
    event.preventDefault();
  }

  select(number) {
    if (this.rows.length === 0) return;
    this.selected = Math.max(0, Math.min(this.rows.length - 1, number));
    this.rows.forEach(({ line }, k) => (k === this.selected ? line.setAttribute("aria-current", "true") : line.removeAttribute("aria-current")));
    this.rows[this.selected].line.scrollIntoView({ block: "nearest" });
    this.context.stage.point(this.frame.result.detections[this.selected]);
  }

  mine(number) {
    return this.all.find((mark) => mark.detection === number && mark.by === this.me);
  }

  /** The same word again takes it back. */
  async say(number, verdict) {
    const before = this.mine(number);
    if (before?.verdict === verdict) await this.takeBack(before);
    else await this.put({ verdict, detection: number });
  }

  async correct(number, label) {
    await this.put({ verdict: "wrong", detection: number, ...(label && { label }) });
  }

  async saveMissed() {
    const [x_min, y_min, x_max, y_max] = this.sides.map((input) => Number(input.value));
    if (x_max - x_min < LEAST || y_max - y_min < LEAST) {
      this.tell(`The box is empty, or smaller than ${LEAST} pixels.`, true);
      return;
    }
    if (await this.put({ verdict: "missed", label: this.label.value.trim(), box: { x_min, y_min, x_max, y_max } })) this.draw(false);
  }

  async put(said) {
    return this.attempt(async () => {
      const mark = await send("POST", this.address, said, this.context.headers());
      this.all = [...this.all.filter(({ id }) => id !== mark.id), mark];
    });
  }

  async takeBack(mark) {
    return this.attempt(async () => {
      await send("DELETE", `${this.address}/${encodeURIComponent(mark.id)}`, undefined, this.context.headers());
      this.all = this.all.filter(({ id }) => id !== mark.id);
    });
  }

  async attempt(deed) {
    try {
      await deed();
      await this.sumUp();
    } catch (problem) {
      if (!(problem instanceof Problem)) throw problem;
      this.tell(inFull(problem), true);
      return false;
    }
    this.tell(this.saved());
    this.refresh();
    return true;
  }

  saved() {
    const judged = this.rows.filter((_, number) => this.all.some((mark) => mark.detection === number)).length;
    return `Saved. ${judged} of ${this.rows.length} detections are judged; the frame is kept.`;
  }

  tell(text, failed = false) {
    this.told.textContent = text;
    this.told.classList.toggle("failure", failed);
  }

  draw(on) {
    if (!this.shown) return;
    this.drawing = on;
    this.form.hidden = !on;
    this.drawButton.setAttribute("aria-pressed", String(on));
    this.overlay.classList.toggle("drawing", on);
    this.form.reset();
    this.place();
    if (on) {
      this.context.stage.point(null);
      this.label.focus({ preventScroll: true });
    }
  }

  place() {
    this.draft?.remove();
    const [x_min, y_min, x_max, y_max] = this.sides.map((input) => Number(input.value));
    if (!this.drawing || !(x_max > x_min && y_max > y_min)) return;
    this.draft = outline({ x_min, y_min, x_max, y_max }, "draft");
    this.overlay.append(this.draft);
  }

  refresh() {
    const { result } = this.frame;
    const admin = this.context.session.admin;
    this.rows.forEach(({ right, wrong, field, others }, number) => {
      const mine = this.mine(number);
      for (const [button, verdict] of [[right, "right"], [wrong, "wrong"]]) {
        button.disabled = !this.shown;
        button.setAttribute("aria-pressed", String(mine?.verdict === verdict));
      }
      field.hidden = mine?.verdict !== "wrong";
      field.disabled = !this.shown;
      if (document.activeElement !== field) field.value = mine?.label ?? "";
      others.textContent = this.all
        .filter((mark) => mark.detection === number && mark.by !== this.me)
        .map(({ by, verdict, label }) => `${by}: ${WORDS[verdict]}${verdict === "wrong" && label ? `, ${label}` : ""}`)
        .join(" · ");
    });
    const missed = this.all.filter(({ verdict }) => verdict === "missed");
    this.missed.hidden = missed.length === 0;
    this.missed.replaceChildren(
      ...missed.map((mark) => {
        const chip = element("span", { class: "chip" }, mark.label);
        chip.style.setProperty("--colour", colourOf(mark.label));
        const own = mark.by === this.me || admin;
        return element(
          "li",
          {},
          chip,
          element("span", { class: "quiet" }, mark.by === this.me ? "missed" : `missed, says ${mark.by}`),
          own && element("button", { type: "button", class: "plain", disabled: !this.shown, "aria-label": `Take back: ${mark.label} missed`, onclick: () => this.takeBack(mark) }, "✕"),
        );
      }),
    );
    this.drawButton.disabled = !this.shown;
    this.overlay.setAttribute("viewBox", `0 0 ${result.width} ${result.height}`);
    this.overlay.replaceChildren(...this.all.map(({ box, verdict }) => outline(box, verdict)));
    this.place();
  }
}

function outline({ x_min, y_min, x_max, y_max }, kind) {
  return shape("rect", { class: kind, x: x_min, y: y_min, width: x_max - x_min, height: y_max - y_min, "vector-effect": "non-scaling-stroke" });
}

function shape(tag, attributes) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}
