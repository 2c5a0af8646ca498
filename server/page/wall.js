// The wall: every camera's latest machine view, with the boxes of that very frame.

import { Problem, picture } from "./api.js";
import { element, notice } from "./dom.js";
import { chips, drawDetections, fit } from "./draw.js";
import { ago, at, lasting, plural } from "./words.js";

const AT_ONCE = 3; // pictures under way, so that the server has room for others
const OFFLINE_AFTER = 15_000;
const SORTS = { name: "Name", state: "State, worst first", newest: "Newest first" };
const RANK = { offline: 0, stale: 1, live: 2 };
const SOURCES = {
  away: "The camera cannot be reached from its host.",
  frozen: "The camera gives no frames.",
  still: "The camera gives the very same picture over and over.",
  failed: "The camera's edge failed and begins again.",
};
const SLOW = {
  camera: "The camera is slow.",
  encoder: "The encoder is slow.",
  network: "The network is slow.",
  server: "The server is slow.",
};

export async function show(root, parameters, { live }) {
  const tiles = new Map();
  const grid = element("div", { class: "tiles" });
  const empty = element("div");
  const name = element("input", { type: "search", placeholder: "Camera", "aria-label": "Cameras whose name contains" });
  const state = select("State", { "": "All states", live: "Live", stale: "Stale", offline: "Offline", trouble: "In trouble" });
  const sort = select("Order", SORTS);
  const size = select("Size", { small: "Small", medium: "Medium", large: "Large" });
  const count = element("span", { class: "quiet", role: "status" });
  const bar = element("div", { class: "bar" }, element("h1", {}, "Wall"), count, name, state, sort, size);
  root.append(bar, grid, empty);

  name.value = parameters.query.get("name") ?? "";
  state.value = parameters.query.get("state") ?? "";
  sort.value = parameters.query.get("sort") ?? "name";
  size.value = parameters.query.get("size") ?? "medium";

  const pictures = new Pictures();
  const seen = new IntersectionObserver(
    (entries) => {
      for (const { target, isIntersecting } of entries) {
        const tile = tiles.get(target.dataset.camera);
        if (!tile) continue;
        tile.visible = isIntersecting;
        if (isIntersecting) pictures.want(tile);
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
      const wanted = [...tiles.values()].filter((tile) => tile.matches(name.value, state.value)).sort(ORDERS[sort.value]);
      grid.dataset.size = size.value;
      const current = [...grid.children];
      const order = wanted.map((tile) => tile.section);
      if (order.length !== current.length || order.some((section, index) => section !== current[index])) grid.replaceChildren(...order);
      const shown = order.length === tiles.size ? plural(tiles.size, "camera") : `${order.length} of ${plural(tiles.size, "camera")}`;
      if (count.textContent !== shown) count.textContent = shown;
      tellEmpty(wanted.length);
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
    for (const [key, field, usual] of [["name", name, ""], ["state", state, ""], ["sort", sort, "name"], ["size", size, "medium"]]) {
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
    arrange();
  }

  function takeResult(frame) {
    const tile = tiles.get(frame.camera);
    if (!tile) return;
    tile.wanted = frame;
    tile.newest = frame.captured_at;
    pictures.want(tile);
  }

  for (const camera of live.cameras.values()) takeCamera(camera);
  for (const frame of live.frames.values()) takeResult(frame);
  for (const field of [state, sort, size]) field.addEventListener("change", remember);
  name.addEventListener("input", remember);
  const offs = [live.on("camera", takeCamera), live.on("result", takeResult), live.on("state", arrange)];
  const clock = setInterval(() => {
    for (const tile of tiles.values()) tile.tick();
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
    return (RANK[this.stateName] ?? 0) * 2 + (this.trouble.hidden ? 1 : 0);
  }

  get stateName() {
    const { state, last_frame_at } = this.document;
    return state ?? (Date.now() - new Date(last_frame_at) > OFFLINE_AFTER ? "stale" : "live");
  }

  matches(name, state) {
    if (!this.camera.includes(name.trim().toLowerCase())) return false;
    return state === "" || (state === "trouble" ? !this.trouble.hidden : this.stateName === state);
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
    const name = this.stateName;
    if (this.section.dataset.state !== name) this.section.dataset.state = this.state.dataset.state = name;
    const text = this.inWords(name);
    if (this.state.textContent !== text) this.state.textContent = text;
  }

  inWords(name) {
    const { since, last_frame_at } = this.document;
    if (name === "offline") return `Offline since ${at(since ?? last_frame_at)}`;
    if (name === "stale") return `Stale, ${lasting((Date.now() - new Date(since ?? last_frame_at)) / 1000)}`;
    return this.shown ? ago(this.shown.captured_at) : "Live";
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
    if (bitmap === null) this.blank.textContent = frame.result.failure ?? "This frame has no picture";
    chips(this.chips, frame.result.detections);
    this.take(this.document);
    this.paint();
  }

  paint() {
    const context = this.canvas.getContext("2d");
    context.clearRect(0, 0, this.canvas.width, this.canvas.height);
    if (!this.bitmap) return;
    const { width, height, detections } = this.shown.result;
    const place = fit(this.canvas, width, height);
    context.drawImage(this.bitmap, place.left, place.top, width * place.scale, height * place.scale);
    drawDetections(context, detections, place, devicePixelRatio);
  }
}

/** What is wrong with a camera, in words; empty when all is well. */
function troubles({ edge, slow, awaiting }, shown) {
  const told = [SOURCES[edge?.source], SLOW[slow]];
  const spool = edge?.spool;
  if (spool?.failing) told.push("The site's disk takes no frames; they wait in memory.");
  if (spool?.full) told.push("The site's spool is full: frames are lost until the uplink has room again.");
  if (spool?.oldest_seconds > 30) told.push(`${spool.frames} frames wait at the site.`);
  if (slow === "server" && awaiting > 0) told.push(`${plural(awaiting, "frame")} wait for recognition.`);
  told.push(shown?.result?.failure);
  return told.filter(Boolean).join(" ");
}

/** Fetches pictures of visible tiles, a few at once, the tile that has waited longest first. */
class Pictures {
  constructor() {
    this.waiting = new Set();
    this.underWay = 0;
    this.ending = new AbortController();
  }

  want(tile) {
    if (!tile.visible || !tile.wanted || tile.wanted.frame === tile.shown?.frame) return;
    this.waiting.add(tile);
    this.go();
  }

  go() {
    while (this.underWay < AT_ONCE && this.waiting.size > 0 && !this.ending.signal.aborted) {
      const [tile] = this.waiting;
      this.waiting.delete(tile);
      if (tile.visible && !tile.busy) this.fetch(tile);
    }
  }

  async fetch(tile) {
    this.underWay += 1;
    tile.busy = true;
    const frame = tile.wanted;
    try {
      const width = Math.max(160, Math.ceil(tile.canvas.width / 160) * 160);
      const bitmap = frame.result.width > 0 ? await picture(`${frame.links.machine_view}&width=${width}`, this.ending.signal) : null;
      if (!this.ending.signal.aborted) tile.put(frame, bitmap);
    } catch (problem) {
      if (!(problem instanceof Problem) && problem.name !== "AbortError") throw problem;
      // The next result brings another frame; what went wrong with all of them the connection tells.
    } finally {
      this.underWay -= 1;
      tile.busy = false;
      if (tile.wanted !== frame) this.want(tile);
      this.go();
    }
  }

  end() {
    this.ending.abort();
    this.waiting.clear();
  }
}
