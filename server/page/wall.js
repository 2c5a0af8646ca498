// The wall: every camera's latest machine view, with the boxes of that very frame.

import { Problem, get, picture } from "./api.js";
import { element, notice } from "./dom.js";
import { chips, drawDetections, fit } from "./draw.js";
import { ago, at, inFull, lasting, plural } from "./words.js";

const AT_ONCE = 3; // pictures under way, so that the server has room for others
const PAUSE = 500; // between two pictures of a camera, ms
const SORTS = { name: "Name", state: "State, worst first", newest: "Newest first" };
const RANK = { offline: 0, stale: 1, live: 2 };
const SOURCES = {
  away: "The camera cannot be reached from its host.",
  frozen: "The camera gives no frames.",
  still: "The camera gives the very same picture over and over.",
  failed: "The camera's edge failed and begins again.",
};
const SIZES = { auto: "Fitting size", small: "Small", medium: "Medium", large: "Large" };
const SMALL = 420; // pixels of the screen, below which a tile's labels are small

export async function show(root, parameters, { live }) {
  const tiles = new Map();
  const grid = element("div", { class: "tiles" });
  const empty = element("div");
  const name = element("input", { type: "search", placeholder: "Camera", "aria-label": "Cameras whose name contains" });
  const state = select("State", { "": "All states", live: "Live", stale: "Stale", offline: "Offline", trouble: "In trouble" });
  const sort = select("Order", SORTS);
  const size = select("Size", SIZES);
  const count = element("span", { class: "quiet", role: "status" });
  const bar = element("div", { class: "bar" }, element("h1", {}, "Wall"), count, name, state, sort, size);
  root.append(bar, grid, empty);

  name.value = parameters.query.get("name") ?? "";
  state.value = parameters.query.get("state") ?? "";
  sort.value = parameters.query.get("sort") ?? "name";
  size.value = parameters.query.get("size") ?? "auto";

  const pictures = new Pictures();
  const seen = new IntersectionObserver(
    (entries) => {
      for (const { target, isIntersecting } of entries) {
        const tile = tiles.get(target.dataset.camera);
        if (!tile) continue;
        tile.visible = isIntersecting;
        if (!isIntersecting) continue;
        tile.tick();
        pictures.want(tile);
      }
    },
    { rootMargin: "120px" },
  );
  const sized = new ResizeObserver((entries) => {
    for (const { target, contentRect } of entries) tiles.get(target.dataset.camera)?.fit(contentRect.width, contentRect.height);
  });

  let arranging = 0;
  function arrange() {
    arranging ||= requestAnimationFrame(() => {
      arranging = 0;
      const order = [...tiles.values()].sort(ORDERS[sort.value]);
      let matching = 0;
      for (const tile of order) {
        const matches = tile.matches(name.value, state.value);
        if (matches) matching += 1;
        if (tile.section.hidden === matches) tile.section.hidden = !matches;
      }
      const dataSize = size.value === "auto" ? fitting(matching) : size.value;
      if (grid.dataset.size !== dataSize) grid.dataset.size = dataSize;
      // Moving a tile lays all of them out again: only what changed its place is moved.
      order.forEach(({ section }, place) => {
        if (grid.children[place] === section) return;
        const before = grid.children[place] ?? null;
        // Keeps the focus, in browsers that can.
        if (section.isConnected && grid.moveBefore) grid.moveBefore(section, before);
        else grid.insertBefore(section, before);
      });
      const shown = matching === tiles.size ? plural(tiles.size, "camera") : `${matching} of ${plural(tiles.size, "camera")}`;
      if (count.textContent !== shown) count.textContent = shown;
      tellEmpty(matching);
    });
  }

  function tellEmpty(shown) {
    const kind = shown > 0 ? "" : tiles.size > 0 ? "filtered" : live.state.name === "live" ? "none" : "waiting";
    if (empty.dataset.kind === kind) return;
    empty.dataset.kind = kind;
    empty.replaceChildren(
      ...{
        "": () => [],
        waiting: () => [],
        filtered: () => [
          notice("empty", "No camera matches", "Look for another name or state.", element("button", { type: "button", onclick: clear }, "Show all cameras")),
        ],
        none: () => [
          notice("empty", "No camera has sent a frame yet", ["Start one where the camera is: ", element("code", {}, "secondsight edge --camera NAME --source rtsp://…")]),
        ],
      }[kind](),
    );
  }

  function clear() {
    name.value = state.value = "";
    remember();
  }

  function remember() {
    const query = new URLSearchParams(parameters.query.has("wall") ? { wall: "" } : {});
    for (const [key, field, usual] of [["name", name, ""], ["state", state, ""], ["sort", sort, "name"], ["size", size, "auto"]]) {
      if (field.value !== usual) query.set(key, field.value);
    }
    const text = query.toString().replace("wall=", "wall");
    history.replaceState(null, "", text ? `#/?${text}` : "#/");
    arrange();
  }

  function takeCamera(camera) {
    let tile = tiles.get(camera.camera);
    if (!tile) {
      tile = new Tile(camera.camera);
      tiles.set(camera.camera, tile);
      seen.observe(tile.section);
      tile.latest.dataset.camera = camera.camera;
      sized.observe(tile.latest);
    }
    tile.take(camera);
    const frame = live.frames.get(camera.camera);
    if (frame) takeResult(frame);
    arrange();
  }

  function takeAway({ camera }) {
    const tile = tiles.get(camera);
    if (!tile) return;
    tiles.delete(camera);
    seen.unobserve(tile.section);
    sized.unobserve(tile.latest);
    pictures.leave(tile);
    tile.section.remove();
    arrange();
  }

  function takeResult(frame) {
    const tile = tiles.get(frame.camera);
    if (!tile) return;
    tile.want(frame);
    pictures.want(tile);
  }

  for (const camera of live.cameras.values()) takeCamera(camera);
  for (const field of [state, sort, size]) field.addEventListener("change", remember);
  name.addEventListener("input", remember);
  const offs = [live.on("camera", takeCamera), live.on("gone", takeAway), live.on("result", takeResult), live.on("state", arrange)];
  const clock = setInterval(() => {
    if (document.hidden) return;
    for (const tile of tiles.values()) {
      if (!tile.visible) continue;
      tile.tick();
      pictures.want(tile);
    }
    if (sort.value !== "name") arrange();
  }, 1000);
  arrange();

  return () => {
    clearInterval(clock);
    cancelAnimationFrame(arranging);
    for (const off of offs) off();
    pictures.end();
    seen.disconnect();
    sized.disconnect();
  };
}

const ORDERS = {
  name: (one, other) => one.camera.localeCompare(other.camera, undefined, { numeric: true }),
  state: (one, other) => one.rank - other.rank || ORDERS.name(one, other),
  newest: (one, other) => other.newest.localeCompare(one.newest) || ORDERS.name(one, other),
};

function fitting(count) {
  if (count <= 1) return "single";
  if (count <= 4) return "large";
  if (count <= 9) return "roomy";
  return count <= 24 ? "medium" : "small";
}

function select(label, options) {
  const made = element("select", { "aria-label": label });
  made.append(...Object.entries(options).map(([value, text]) => new Option(text, value)));
  return made;
}

class Tile {
  constructor(camera) {
    this.camera = camera;
    this.visible = false;
    this.wanted = null; // the newest recognised frame
    this.shown = null; // the frame whose picture and boxes are on the canvas
    this.bitmap = null;
    this.newest = "";
    this.document = null;
    this.busy = false;
    this.looked = false; // for the newest frame, when no result came by itself
    this.next = 0; // no picture is asked for before
    this.canvas = element("canvas", { role: "img", "aria-label": `Machine view of ${camera}` });
    this.blank = element("span", { class: "blank" }, "Waiting for a picture");
    this.latest = element("a", { class: "latest", href: `#/cameras/${encodeURIComponent(camera)}`, "aria-label": `Open the latest frame of ${camera}` }, this.canvas, this.blank);
    this.state = element("span", { class: "state dot" });
    this.chips = element("ul", { class: "chips", "aria-label": "Seen" });
    this.trouble = element("p", { class: "trouble", hidden: true });
    const title = element("h2", {}, element("a", { href: `#/cameras/${encodeURIComponent(camera)}`, title: "Timeline" }, camera));
    this.section = element("section", { class: "tile", "data-camera": camera, "aria-label": camera }, this.latest, element("header", {}, title, this.state), this.chips, this.trouble);
  }

  get rank() {
    return (RANK[this.document.state] ?? 0) * 2 + (this.trouble.hidden ? 1 : 0);
  }

  matches(name, state) {
    if (!this.camera.includes(name.trim().toLowerCase())) return false;
    return state === "" || (state === "trouble" ? !this.trouble.hidden : this.document.state === state);
  }

  take(camera) {
    this.document = camera;
    this.newest ||= camera.last_frame_at;
    const told = troubles(camera, this.shown);
    if (this.trouble.textContent !== told) {
      this.trouble.textContent = told;
      this.trouble.hidden = told === "";
    }
    this.tick();
  }

  tick() {
    const name = this.document.state;
    if (this.section.dataset.state !== name) this.section.dataset.state = this.state.dataset.state = name;
    const text = this.inWords(name);
    if (this.state.textContent !== text) this.state.textContent = text;
  }

  inWords(name) {
    const { since, last_frame_at } = this.document;
    if (name === "offline") return `Offline since ${at(since ?? last_frame_at)}`;
    if (name === "stale") return `Stale for ${lasting((Date.now() - new Date(since ?? last_frame_at)) / 1000)}`;
    return this.shown ? ago(this.shown.captured_at) : "Live";
  }

  want(frame) {
    this.wanted = frame;
    this.newest = frame.captured_at;
  }

  fit(width, height) {
    const unit = devicePixelRatio;
    const [across, down] = [Math.round(width * unit), Math.round(height * unit)];
    if (this.canvas.width === across && this.canvas.height === down) return;
    this.canvas.width = across;
    this.canvas.height = down;
    this.paint();
  }

  /** Picture and boxes together, of one frame. */
  put(frame, bitmap) {
    this.bitmap?.close();
    this.bitmap = bitmap;
    this.shown = frame;
    this.latest.dataset.frame = frame.frame;
    this.latest.href = `#/cameras/${encodeURIComponent(this.camera)}/frames/${frame.frame}`;
    this.blank.hidden = bitmap !== null;
    if (bitmap === null) this.tell("This frame could not be decoded");
    chips(this.chips, frame.result.detections);
    this.take(this.document);
    this.paint();
  }

  tell(text) {
    this.blank.textContent = text;
  }

  paint() {
    const context = this.canvas.getContext("2d");
    context.clearRect(0, 0, this.canvas.width, this.canvas.height);
    if (!this.bitmap) return;
    const { width, height, detections } = this.shown.result;
    const place = fit(this.canvas, width, height);
    context.drawImage(this.bitmap, place.left, place.top, width * place.scale, height * place.scale);
    drawDetections(context, detections, place, devicePixelRatio, this.canvas.width < SMALL * devicePixelRatio ? 11 : 13);
  }
}

/** What is wrong with a camera, in words; empty when all is well. */
function troubles({ state, edge, slow, slow_detail }, shown) {
  const told = [SOURCES[edge?.source]];
  if (slow) told.push(state === "offline" ? `${capital(slow_detail ?? slow)}.` : `The ${slow} is slow: ${slow_detail}.`);
  const spool = edge?.spool;
  if (spool?.failing) told.push("The site's disk takes no frames; they wait in memory.");
  if (spool?.full) told.push("The site's spool is full: frames are lost until the uplink has room again.");
  if (spool?.oldest_seconds > 30) told.push(`${spool.frames} frames wait at the site.`);
  told.push(shown?.result.failure);
  return told.filter(Boolean).join(" ");
}

function capital(text) {
  return text[0].toUpperCase() + text.slice(1);
}

/** Fetches pictures of visible tiles, a few at once, the tile that has waited longest first. */
class Pictures {
  constructor() {
    this.waiting = new Set();
    this.underWay = 0;
    this.ending = new AbortController();
  }

  want(tile) {
    if (!tile.visible || tile.busy || document.hidden || performance.now() < tile.next) return;
    if (tile.wanted ? tile.wanted === tile.shown : tile.looked) return;
    this.waiting.add(tile);
    this.go();
  }

  /** Of a tile that is taken away no more is wanted. */
  leave(tile) {
    tile.visible = false;
    this.waiting.delete(tile);
  }

  go() {
    while (this.underWay < AT_ONCE && this.waiting.size > 0 && !this.ending.signal.aborted) {
      const [tile] = this.waiting;
      this.waiting.delete(tile);
      if (tile.visible) this.fetch(tile);
    }
  }

  async fetch(tile) {
    this.underWay += 1;
    tile.busy = true;
    try {
      await (tile.wanted ? this.fetchPicture(tile) : this.fetchNewest(tile));
    } catch (problem) {
      if (problem.name === "AbortError") return;
      if (!(problem instanceof Problem)) throw problem;
      tile.next = performance.now() + 1000 * (problem.retryAfter ?? 2);
      if (!tile.shown) tile.tell(inFull(problem));
    } finally {
      this.underWay -= 1;
      tile.busy = false;
      this.want(tile);
      this.go();
    }
  }

  async fetchPicture(tile) {
    const frame = tile.wanted;
    tile.next = performance.now() + PAUSE;
    // In steps, so that the server makes few sizes of a picture.
    const width = Math.ceil((tile.canvas.width || 160) / 160) * 160;
    const bitmap = frame.result.width > 0 ? await picture(`${frame.links.machine_view}&width=${width}`, { signal: this.ending.signal }) : null;
    if (!this.ending.signal.aborted) tile.put(frame, bitmap);
  }

  /** The newest recognised frame of a camera of which no result has come by itself yet. */
  async fetchNewest(tile) {
    tile.looked = true;
    const { frames } = await get(`${tile.document.frames}?limit=8`, { signal: this.ending.signal });
    const newest = frames.find(({ result }) => result !== null);
    if (newest && !tile.wanted) tile.want(newest);
  }

  end() {
    this.ending.abort();
    this.waiting.clear();
  }
}
