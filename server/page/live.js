// What the server tells by itself: one stream of events for the whole console.

import { Problem, get } from "./api.js";

const POLL = 1000;

class Live {
  constructor() {
    this.listeners = new Map();
    /** The newest document of every camera, and its newest recognised frame, by the camera's name. */
    this.cameras = new Map();
    this.frames = new Map();
    this.state = { name: "connecting", detail: "" };
    this.running = false;
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

  start() {
    if (this.running) return;
    this.running = true;
    this.poll();
  }

  stop() {
    this.running = false;
  }

  tell(type, told) {
    if (type === "camera") this.cameras.set(told.camera, told);
    if (type === "result") this.frames.set(told.camera, told);
    if (type === "state") this.state = told;
    for (const listener of this.listeners.get(type) ?? []) listener(told);
  }

  async poll() {
    while (this.running) {
      try {
        const { cameras } = await get("/v1/cameras");
        for (const camera of cameras) {
          this.tell("camera", camera);
          const { frames } = await get(`${camera.frames}?limit=4`);
          const newest = frames.find(({ result }) => result !== null);
          if (newest && this.frames.get(camera.camera)?.frame !== newest.frame) this.tell("result", newest);
        }
        this.tell("state", { name: "live", detail: "" });
      } catch (problem) {
        if (!(problem instanceof Problem)) throw problem;
        this.tell("state", { name: "away", detail: `${problem.title}. ${problem.message}` });
      }
      await new Promise((resolve) => setTimeout(resolve, POLL));
    }
  }
}

export const live = new Live();
