// What the server tells by itself: one stream of events for the whole console.

import { Problem, ask } from "./api.js";

const RATE = 2; // results per second and camera: what eyes follow
const PAUSES = [1000, 2000, 5000, 10_000]; // before a stream that was refused is asked for again
const SILENCE = 45_000; // of a stream that has a live camera to tell of: its connection is dead

class Live {
  constructor() {
    this.listeners = new Map();
    /** The newest document of every camera, and its newest recognised frame, by the camera's name. */
    this.cameras = new Map();
    this.frames = new Map();
    this.state = { name: "connecting", detail: "" };
    this.source = null;
    this.last = ""; // where a later stream goes on
    this.refused = 0;
    addEventListener("online", () => this.source?.readyState === EventSource.CONNECTING && this.open());
    setInterval(() => this.watch(), 5000);
  }

  /**
   * Call `listener` at each "camera" (its document), "result" (a Frame document), "dropped" ({camera, results}) or
   * "state" ({name: connecting | live | away, detail}). Gives a function that ends it.
   */
  on(type, listener) {
    if (!this.listeners.has(type)) this.listeners.set(type, new Set());
    this.listeners.get(type).add(listener);
    return () => this.listeners.get(type).delete(listener);
  }

  /** Begin, or begin anew: for another person, too. */
  start() {
    this.refused = 0;
    this.open();
  }

  /** Go away from a server that no longer knows who asks, and forget what it told. */
  stop() {
    clearTimeout(this.again);
    this.source?.close();
    this.source = null;
    this.last = "";
    this.cameras.clear();
    this.frames.clear();
  }

  get address() {
    return `/v1/events?${new URLSearchParams({ rate: RATE, ...(this.last && { after: this.last }) })}`;
  }

  open() {
    clearTimeout(this.again);
    this.source?.close();
    const source = new EventSource(this.address);
    this.source = source;
    this.heard = Date.now();
    source.onopen = () => {
      this.refused = 0;
      this.heard = Date.now();
      this.tell("state", { name: "live", detail: "" });
    };
    source.onerror = () => {
      if (this.source !== source) return;
      // A stream that broke the browser opens again by itself, after the last event that came.
      if (source.readyState === EventSource.CONNECTING) this.away("The server cannot be reached. The console goes on by itself.");
      else this.ask();
    };
    for (const type of ["camera", "result", "dropped"]) {
      source.addEventListener(type, (event) => {
        this.heard = Date.now();
        if (event.lastEventId) this.last = event.lastEventId;
        this.tell(type, JSON.parse(event.data));
      });
    }
  }

  /** A stream that was refused: the browser does not say why, so that it is asked once more. */
  async ask() {
    const asking = new AbortController();
    try {
      await ask(this.address, { accept: "text/event-stream", signal: asking.signal });
    } catch (problem) {
      if (!(problem instanceof Problem)) throw problem;
      this.away(`${problem.title}. ${problem.message}`);
      if (problem.status === 401) return; // whoever logs in begins anew
      if (problem.kind === "invalid-cursor") this.last = "";
    } finally {
      asking.abort();
    }
    this.again = setTimeout(() => this.open(), PAUSES[Math.min(this.refused++, PAUSES.length - 1)]);
  }

  watch() {
    const lively = [...this.cameras.values()].some(({ state }) => state === "live");
    if (this.source?.readyState === EventSource.OPEN && lively && Date.now() - this.heard > SILENCE) this.open();
  }

  away(detail) {
    this.tell("state", { name: "away", detail });
  }

  tell(type, told) {
    if (type === "camera") this.cameras.set(told.camera, told);
    if (type === "result") this.frames.set(told.camera, told);
    if (type === "state") this.state = told;
    for (const listener of this.listeners.get(type) ?? []) listener(told);
  }
}

export const live = new Live();
