// The wall: every camera's latest frame with its boxes, and the frames before it.

import { Problem, cameras, frames, view } from "./api.js";
import { ago, chips, draw } from "./draw.js";
import { letIn } from "./session.js";
import { open } from "./viewer.js";

const POLL = 1000;
const IN_STRIP = 6;

const wall = document.querySelector("#wall");
const empty = document.querySelector("#empty");
const connection = document.querySelector("#connection");
const tiles = new Map();

class Tile {
  constructor(camera) {
    const section = document.querySelector("#camera").content.firstElementChild.cloneNode(true);
    section.dataset.camera = camera.camera;
    section.querySelector("h2").textContent = camera.camera;
    this.section = section;
    this.age = section.querySelector(".age");
    this.latest = section.querySelector(".latest");
    this.latest.setAttribute("aria-label", `Open the latest frame of ${camera.camera}`);
    this.chips = section.querySelector(".chips");
    this.edge = section.querySelector(".edge");
    this.failure = section.querySelector(".failure:not(.edge)");
    this.strip = section.querySelector(".strip");
    this.strip.setAttribute("aria-label", `Latest frames of ${camera.camera}`);
    this.shown = []; // { frame, bitmap }, newest first
    this.latest.addEventListener("click", () => {
      if (this.shown.length > 0) open(this.shown[0].frame, this.shown[0].bitmap);
    });
    wall.append(section);
  }

  async update(camera) {
    this.age.textContent = ago(camera.last_frame_at);
    this.age.classList.toggle("stale", Date.now() - new Date(camera.last_frame_at) > 15_000);
    this.edge.textContent = troubles(camera.edge);
    this.edge.hidden = this.edge.textContent === "";
    const known = new Set(this.shown.map(({ frame }) => frame.frame));
    const listed = await frames(camera, this.shown.length === 0 ? IN_STRIP : 2 * IN_STRIP);
    const recognised = listed.filter(({ result }) => result !== null);
    this.failure.textContent = recognised[0]?.result.failure ?? "";
    this.failure.hidden = this.failure.textContent === "";
    // Once the strip is full only the newest is fetched: each view costs the server a decoding.
    const visible = recognised.filter(({ result }) => result.width > 0);
    const wanted = this.shown.length === 0 ? visible : visible.slice(0, 1);
    for (const frame of wanted.reverse()) {
      if (known.has(frame.frame)) continue;
      const bitmap = await view(frame.links.machine_view);
      this.shown = [{ frame, bitmap }, ...this.shown].slice(0, IN_STRIP);
      this.paint();
    }
    // What has expired since then is told by the list.
    const current = new Map(listed.map((frame) => [frame.frame, frame]));
    for (const entry of this.shown) entry.frame = current.get(entry.frame.frame) ?? entry.frame;
  }

  paint() {
    const { frame, bitmap } = this.shown[0];
    draw(this.latest.querySelector("canvas"), bitmap, frame.result.detections);
    this.latest.dataset.frame = frame.frame;
    chips(this.chips, frame.result.detections);
    this.strip.replaceChildren(
      ...this.shown.map((entry) => {
        const button = document.createElement("button");
        const canvas = document.createElement("canvas");
        button.type = "button";
        button.dataset.frame = entry.frame.frame;
        button.setAttribute("aria-label", `Open frame ${entry.frame.frame}`);
        button.addEventListener("click", () => open(entry.frame, entry.bitmap));
        draw(canvas, entry.bitmap, entry.frame.result.detections);
        button.append(canvas);
        return button;
      }),
    );
  }
}

const SOURCES = {
  away: "The camera cannot be reached from its host.",
  frozen: "The camera gives no frames.",
  still: "The camera gives the very same picture over and over.",
  failed: "The camera's edge failed and begins again.",
};

/** What its edge says is wrong, and frames that wait at the site; empty when all is well. */
function troubles(edge) {
  if (!edge) return "";
  const told = [SOURCES[edge.source]];
  const spool = edge.spool;
  if (spool?.failing) told.push("The site's disk takes no frames; they wait in memory.");
  if (spool?.full) told.push("The site's spool is full: frames are lost until the uplink has room again.");
  if (spool?.oldest_seconds > 30) told.push(`${spool.frames} frames wait at the site.`);
  return told.filter(Boolean).join(" ");
}

function say(state, text) {
  connection.dataset.state = state;
  connection.textContent = text;
}

async function refresh() {
  try {
    const listed = await cameras();
    empty.hidden = listed.length > 0;
    let trouble = null;
    for (const camera of listed) {
      if (!tiles.has(camera.camera)) tiles.set(camera.camera, new Tile(camera));
      // What one camera's frames cannot be shown for does not keep the others from being shown.
      await tiles.get(camera.camera).update(camera).catch((problem) => (trouble = problem));
    }
    if (trouble) throw trouble;
    say("live", listed.length === 1 ? "1 camera" : `${listed.length} cameras`);
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
    say("away", `${problem.title}. ${problem.message}`);
    if (problem.status === 401) inside = false;
  }
}

/** False until the server has let this browser in, and again when its session is over. */
let inside = false;

async function enter() {
  try {
    await letIn();
    inside = true;
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
    say("away", `${problem.title}. ${problem.message}`);
  }
}

async function keepFresh() {
  for (;;) {
    if (!inside) await enter();
    if (inside && !document.hidden) await refresh();
    await new Promise((resolve) => setTimeout(resolve, POLL));
  }
}

keepFresh();
