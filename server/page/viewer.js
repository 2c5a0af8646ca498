// One frame, close: machine view and human view side by side.

import { view } from "./api.js";
import { bytes, chips, draw } from "./draw.js";
import { now } from "./session.js";

const dialog = document.querySelector("#viewer");
const machine = panel("#machine");
const human = panel("#human");
const boxes = document.querySelector("#boxes");
const slices = document.querySelector("#slices");
const took = document.querySelector("#took");

const reason = document.querySelector("#reason");
const reasonText = document.querySelector("#reason-text");

let shown = null;
let told = ""; // what the human view of this frame is for, where the server asks for that

function panel(selector) {
  const figure = document.querySelector(selector);
  return {
    canvas: figure.querySelector("canvas"),
    bytes: figure.querySelector(".bytes"),
    message: figure.querySelector(".message"),
    spinner: figure.querySelector(".spinner"),
    bitmap: null,
  };
}

/** Show a frame whose machine view is `bitmap`, and ask for its human view. */
export function open(frame, bitmap) {
  shown = frame;
  document.querySelector("#viewer-title").textContent = `${frame.camera} · frame ${frame.frame}`;
  document.querySelector("#viewer-moment").textContent = new Date(frame.captured_at).toLocaleString();
  machine.bitmap = bitmap;
  machine.bytes.textContent =
    bytes(frame.machine_bytes) + (frame.key_frame ? `, predicted from ${frame.key_frame}` : "");
  human.bitmap = null;
  chips(document.querySelector("#detections"), detections());
  const count = frame.enhancement.slices;
  slices.replaceChildren(
    ...Array.from({ length: count }, (_, index) => new Option(`${count - index} of ${count}`, count - index)),
  );
  slices.disabled = count === 0;
  if (!dialog.open) dialog.showModal();
  paint();
  told = "";
  reason.hidden = true;
  const { asks, person, reason_characters } = now();
  if (!asks) {
    askForHumanView();
    return;
  }
  blank(human.canvas, machine.bitmap);
  human.bytes.textContent = "";
  took.textContent = "";
  if (!person?.human_views) {
    say("Not allowed", `a ${person?.role ?? "guest"} sees machine views; human views take the role operator`);
    return;
  }
  human.message.hidden = true;
  human.spinner.hidden = true;
  reason.hidden = false;
  reasonText.maxLength = reason_characters;
  reasonText.value = "";
  reasonText.focus();
}

function say(title, text) {
  human.message.querySelector("b").textContent = title;
  human.message.querySelector("span").textContent = text;
  human.message.hidden = false;
}

function detections() {
  return shown.result?.detections ?? [];
}

function paint() {
  const drawn = boxes.checked ? detections() : [];
  for (const { canvas, bitmap } of [machine, human]) if (bitmap) draw(canvas, bitmap, drawn);
}

async function askForHumanView() {
  const frame = shown;
  human.message.hidden = true;
  human.spinner.hidden = false;
  human.bytes.textContent = "";
  took.textContent = "";
  if (!human.bitmap) blank(human.canvas, machine.bitmap);
  const begun = performance.now();
  try {
    const chosen = slices.value ? `&slices=${slices.value}` : "";
    const why = told ? `&reason=${encodeURIComponent(told)}` : "";
    const bitmap = await view(frame.links.human_view + chosen + why);
    if (frame !== shown) return;
    human.bitmap = bitmap;
    human.bytes.textContent =
      `${bytes(frame.machine_bytes)} + ${bytes(frame.enhancement.bytes)} enhancement, kept ${until(frame)}`;
    took.textContent = `human view in ${Math.round(performance.now() - begun)} ms`;
    paint();
  } catch (problem) {
    if (frame !== shown) return;
    human.bitmap = null;
    blank(human.canvas, machine.bitmap);
    say(problem.title ?? "The picture cannot be shown", problem.message);
  } finally {
    if (frame === shown) human.spinner.hidden = true;
  }
}

function until(frame) {
  const expires = frame.enhancement.expires_at;
  return expires ? `until ${new Date(expires).toLocaleTimeString()}` : "for now";
}

function blank(canvas, like) {
  canvas.width = like.width;
  canvas.height = like.height;
}

boxes.addEventListener("change", paint);
slices.addEventListener("change", () => {
  if (reason.hidden && (told || !now().asks)) askForHumanView();
});
reason.addEventListener("submit", (event) => {
  event.preventDefault();
  told = reasonText.value.trim();
  if (!told) return;
  reason.hidden = true;
  askForHumanView();
});
document.querySelector("#viewer-close").addEventListener("click", () => dialog.close());
dialog.addEventListener("click", (event) => {
  if (event.target === dialog) dialog.close();
});
