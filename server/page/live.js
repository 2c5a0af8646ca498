// What the server tells by itself: one stream of events for the whole console.

import { Problem, ask } from "./api.js";
import { inFull } from "./words.js";

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
   * Call `listener` at each "camera" (its document), "gone" ({camera}, once it is forgotten), "result" (a Frame
   * document), "dropped" ({camera, results}) or "state" ({name: connecting | live | away, detail}). Gives a function
   * that ends it.
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
    this.away("Your login has ended. Log in to go on.");
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
    for (const type of ["cameras", "camera", "result", "dropped"]) {
      source.addEventListener(type, (event) => {
        this.heard = Date.now();
        if (event.lastEventId) this.last = event.lastEventId;
        const told = JSON.parse(event.data);
        if (type === "cameras") this.keepOnly(new Set(told.cameras));
        else this.tell(type, told);
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
      if (problem.status === 401) return; // the session has ended, and whoever logs in begins anew
      this.away(inFull(problem));
      if (problem.kind === "invalid-cursor") this.last = "";
    } finally {
      asking.abort();
    }
    this.again = setTimeout(() => this.open(), PAUSES[Math.min(this.refused++, PAUSES.length - 1)]);
  }

  /** Forget the cameras that there are no longer. */
  keepOnly(names) {
    for (const camera of this.cameras.keys()) if (!names.has(camera)) this.tell("gone", { camera });
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
    if (type === "gone") {
      this.cameras.delete(told.camera);
      this.frames.delete(told.camera);
    }
    if (type === "result") this.frames.set(told.camera, told);
    if (type === "state") this.state = told;
    for (const listener of this.listeners.get(type) ?? []) listener(told);
  }
}

export const live = new Live();
