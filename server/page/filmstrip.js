// Things and alerts of a stretch of time, each as the frame that shows it best.

import { Problem, get, ofCamera, picture } from "./api.js";
import { append, element } from "./dom.js";
import { colourOf } from "./draw.js";
import { at, inFull, lasting, percent, plural } from "./words.js";

const ON_PAGE = 24;
const WIDTH = 240;
const AT_ONCE = 2; // pictures under way, so that the server has room for others

export class Filmstrip {
  constructor(camera) {
    this.camera = camera;
    this.list = element("ul", { class: "film", "aria-label": "Seen in this time, newest first" });
    this.more = element("button", { type: "button", hidden: true, onclick: () => this.fill(this.next) }, "More");
    this.lines = element("ul", { class: "lines", "aria-label": "Seen in this time, no picture is kept of it" });
    this.told = element("p", { class: "quiet", role: "status" });
    this.element = element("div", { class: "filmstrip" }, this.told, this.list, this.lines, this.more);
    this.waiting = new Set();
    this.underWay = 0;
    this.shown = "";
    this.asking = new AbortController();
    this.leaving = new AbortController();
    this.seen = new IntersectionObserver((entries) => {
      for (const { target, isIntersecting } of entries) {
        if (!isIntersecting) continue;
        this.seen.unobserve(target);
        this.waiting.add(target);
      }
      this.go();
    }, { rootMargin: "200px" });
  }

  leave() {
    this.asking.abort();
    this.leaving.abort();
    this.seen.disconnect();
    this.waiting.clear();
  }

  /** Show what was first seen between two times; `label` and `alerts` narrow it down. */
  async show(from, to, label, alerts) {
    if (from >= to) {
      this.asking.abort();
      this.list.replaceChildren();
      this.lines.replaceChildren();
      this.more.hidden = true;
      this.told.textContent = "This time is yet to come.";
      return;
    }
    const query = new URLSearchParams({ from: new Date(from).toISOString(), to: new Date(to).toISOString(), limit: ON_PAGE });
    if (label) query.set("label", label);
    if (alerts) query.set("alert", "true");
    await this.fill(`${ofCamera(this.camera, "things")}?${query}`, true);
  }

  async fill(address, anew = false) {
    if (anew) {
      this.asking.abort();
      this.asking = new AbortController();
    }
    const { signal } = this.asking;
    try {
      const { things, next } = await get(address, { signal });
      if (signal.aborted) return;
      const known = new Map([...this.list.children, ...this.lines.children].map((card) => [card.dataset.thing, card]));
      const cards = things.map((thing) => {
        const card = known.get(thing.thing);
        // Whose best frame has not changed keeps its picture.
        return card?.dataset.state === stateOf(thing) ? card : this.card(thing);
      });
      if (anew) {
        this.list.replaceChildren();
        this.lines.replaceChildren();
      }
      things.forEach((thing, place) => (thing.viewable ? this.list : this.lines).append(cards[place]));
      this.next = next;
      this.more.hidden = next === null;
      const told = this.list.children.length + this.lines.children.length === 0 && next === null ? "Nothing was seen in this time." : "";
      if (this.told.textContent !== told) this.told.textContent = told;
    } catch (problem) {
      if (problem.name === "AbortError") return;
      if (!(problem instanceof Problem)) throw problem;
      this.told.textContent = inFull(problem);
    }
  }

  card(thing) {
    const lasted = (Date.parse(thing.last_seen_at) - Date.parse(thing.first_seen_at)) / 1000;
    const chip = element("span", { class: "chip" }, thing.most > 1 ? `${thing.label} × ${thing.most}` : thing.label);
    chip.style.setProperty("--colour", colourOf(thing.label));
    const what = [
      element("span", { class: "row" }, chip, thing.alert && element("strong", { class: "alert" }, "alert")),
      element("time", { datetime: thing.first_seen_at }, at(thing.first_seen_at)),
      element("span", { class: "quiet" }, [lasted < 1 ? plural(thing.frames, "frame") : `for ${lasting(lasted)}`, percent(thing.best_score), ...thing.zones].join(" · ")),
    ];
    const card = element("li", { "data-thing": thing.thing, "data-state": stateOf(thing) });
    if (!thing.viewable) {
      const moment = `#/cameras/${encodeURIComponent(this.camera)}/at/${encodeURIComponent(thing.first_seen_at)}`;
      append(card, [element("a", { href: moment }, what)]);
      return card;
    }
    const canvas = element("canvas", { class: "still", "aria-hidden": "true", width: 16, height: 9 });
    canvas.address = `${thing.links.machine_view}&width=${WIDTH}`;
    append(card, [element("a", { href: `#/cameras/${encodeURIComponent(this.camera)}/frames/${thing.best_frame}` }, canvas, what)]);
    this.seen.observe(canvas);
    return card;
  }

  go() {
    while (this.underWay < AT_ONCE && this.waiting.size > 0) {
      const [canvas] = this.waiting;
      this.waiting.delete(canvas);
      if (canvas.isConnected) this.fetch(canvas);
    }
  }

  async fetch(canvas) {
    this.underWay += 1;
    try {
      const bitmap = await picture(canvas.address, { signal: this.leaving.signal });
      canvas.width = bitmap.width;
      canvas.height = bitmap.height;
      canvas.getContext("2d").drawImage(bitmap, 0, 0);
      bitmap.close();
    } catch (problem) {
      if (problem.name === "AbortError") return;
      if (!(problem instanceof Problem)) throw problem;
      canvas.classList.add("gone");
    } finally {
      this.underWay -= 1;
      this.go();
    }
  }
}

function stateOf(thing) {
  return [thing.best_frame, thing.last_seen_at, thing.alert, thing.viewable].join(" ");
}
