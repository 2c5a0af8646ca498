// The overview: what the uplinks carry, what is saved, and how cameras and store do.

import { Problem, get } from "./api.js";
import { element, failure, notice } from "./dom.js";
import { at, bytes, lasting, percent, plural } from "./words.js";
import UPlot from "./vendor/uplot.js";

const POLL = 5000;
const HEIGHT = 220;
const ROWS = 60; // of a chart's table
const SHORTEST = 600; // seconds that a chart shows, however little of them is known

const CHARTS = [
  {
    title: "Uplink by layer",
    told: "kbit/s of all cameras, and what it would be with both layers of every frame",
    unit: "kbit/s",
    series: [
      { name: "Machine layers", colour: "--accent", fill: true, of: ({ machine }) => machine.map(kilobits) },
      { name: "Enhancement, sent along", colour: "--good", of: (history) => history.enhancement_stored.map(kilobits) },
      { name: "Enhancement, asked for", colour: "--warning", of: (history) => history.enhancement_fetched.map(kilobits) },
      { name: "Both layers of all frames", colour: "--quiet", dash: [6, 4], of: (history) => history.both_layers.map(kilobits) },
    ],
  },
  {
    title: "Recognition",
    told: "frames a second that come, and frames that await recognition",
    unit: "",
    series: [
      { name: "Frames a second", colour: "--accent", fill: true, of: (history) => history.frames_per_second },
      { name: "Frames that wait", colour: "--danger", of: (history) => history.awaiting },
    ],
  },
];

export async function show(root) {
  const when = element("span", { class: "quiet", role: "status" });
  const trouble = element("div");
  const numbers = element("dl", { class: "numbers" });
  const charts = CHARTS.map((chart) => new Chart(chart));
  const cameras = element("tbody");
  const drops = element("div");
  const store = element("dl", { class: "facts" });
  const kept = element("dl", { class: "facts" });
  const filled = [
    numbers,
    element("div", { class: "charts" }, charts.map(({ figure }) => figure)),
    card("Cameras", scrolling("Cameras", table(CAMERA_HEADS, cameras))),
    element("div", { class: "cards" }, card("Dropped in the last minute", drops), card("Store", store), card("Kept", kept)),
  ];
  root.append(element("div", { class: "bar" }, element("h1", {}, "Overview"), when), trouble);

  let shown = false;
  let left = false;
  let timer = 0;
  function tell(overview) {
    when.textContent = `As of ${at(overview.at)}`;
    if (overview.cameras.length === 0) {
      root.classList.add("bare");
      trouble.replaceChildren(
        notice("empty", "No camera has sent a frame yet", ["Start one where the camera is: ", element("code", {}, "secondsight edge --camera NAME --source rtsp://…")]),
      );
      return;
    }
    trouble.replaceChildren();
    if (!shown) root.append(...filled);
    shown = true;
    numbers.replaceChildren(...tellNumbers(overview));
    for (const chart of charts) chart.take(overview.history);
    cameras.replaceChildren(...overview.cameras.map(tellCamera));
    drops.replaceChildren(tellDrops(overview));
    store.replaceChildren(...tellStore(overview));
    kept.replaceChildren(...tellKept(overview));
  }

  async function look() {
    clearTimeout(timer);
    try {
      if (!document.hidden || !shown) tell(await get("/v1/overview"));
    } catch (problem) {
      if (!(problem instanceof Problem)) throw problem;
      trouble.replaceChildren(failure(problem, look));
    }
    if (!left) timer = setTimeout(look, POLL);
  }

  const sized = new ResizeObserver(() => charts.forEach((chart) => chart.fit()));
  charts.forEach(({ place }) => sized.observe(place));
  const scheme = matchMedia("(prefers-color-scheme: dark)");
  const recolour = () => charts.forEach((chart) => chart.draw());
  scheme.addEventListener("change", recolour);
  document.addEventListener("visibilitychange", look);
  await look();
  return () => {
    left = true;
    clearTimeout(timer);
    sized.disconnect();
    scheme.removeEventListener("change", recolour);
    document.removeEventListener("visibilitychange", look);
    charts.forEach((chart) => chart.end());
  };
}

function tellNumbers({ total, store }) {
  const { uplink, saved } = total;
  const sent = uplink.machine + uplink.enhancement_stored + uplink.enhancement_fetched;
  return [
    number("Uplink now", rate(sent), `of them ${rate(uplink.machine)} machine layers`),
    number(
      "Saved",
      saved.share === null ? "–" : percent(saved.share),
      `${bytes(Math.abs(saved.bytes))} ${saved.bytes < 0 ? "more" : "less"} than both layers of every frame, since the server's start`,
    ),
    number("Cameras", plural(total.cameras.live, "live", "live"), `${total.cameras.stale} stale, ${total.cameras.offline} offline`),
    number("Await recognition", plural(total.awaiting, "frame"), `${perSecond(total.frames_per_second)} come, ${perSecond(total.recognised_per_second)} recognised`),
    number("Views in the last hour", plural(total.human_views, "human view"), plural(total.machine_views, "machine view")),
    number(
      "Store",
      bytes(store.memory_bytes),
      store.memory_limit_bytes === null ? "no limit" : `${percent(store.memory_bytes / store.memory_limit_bytes)} of ${bytes(store.memory_limit_bytes)}`,
    ),
  ];
}

function number(name, value, detail) {
  return element("div", { class: "card" }, element("dt", {}, name), element("dd", { class: "value" }, value), element("dd", { class: "quiet" }, detail));
}

const CAMERA_HEADS = [
  ["Camera"],
  ["State"],
  ["Slow"],
  ["Frames/s", true],
  ["Waiting", true],
  ["Machine", true],
  ["Enhancement", true],
  ["Saved", true],
  ["Dropped", true],
  ["Reconnects", true],
  ["Views", true],
  ["Frames since"],
];

function tellCamera(camera) {
  const { uplink } = camera;
  const link = element("a", { href: `#/cameras/${encodeURIComponent(camera.camera)}` }, camera.camera);
  const dropped = camera.dropped && Object.values(camera.dropped).reduce((sum, count) => sum + count, 0);
  return element(
    "tr",
    { "data-camera": camera.camera },
    element("th", { scope: "row" }, link),
    element("td", {}, element("span", { class: "dot", "data-state": camera.state }, camera.state), camera.since && element("span", { class: "quiet" }, ` since ${at(camera.since)}`)),
    element("td", { class: "why" }, camera.slow ?? "–", camera.slow_detail && element("span", { class: "quiet" }, ` ${camera.slow_detail}`)),
    cell(camera.frames_per_second.toFixed(1)),
    cell(camera.awaiting ?? "–"),
    cell(rate(uplink.machine)),
    cell(rate(uplink.enhancement_stored + uplink.enhancement_fetched)),
    cell(camera.saved.share === null ? "–" : percent(camera.saved.share)),
    cell(dropped ?? "–"),
    cell(camera.reconnects ?? "–"),
    cell(`${camera.human_views} / ${camera.machine_views}`),
    element("td", {}, camera.oldest_frame_at ? at(camera.oldest_frame_at) : "–"),
  );
}

function tellDrops({ cameras, total }) {
  const found = Object.entries(total.dropped);
  if (cameras.every(({ dropped }) => dropped === null)) return element("p", { class: "quiet" }, "No edge has told anything in the last minute.");
  if (found.length === 0) return element("p", { class: "quiet" }, "None.");
  const rows = found.map(([reason, count]) => element("tr", {}, element("th", { scope: "row" }, reason.replaceAll("_", " ")), cell(count)));
  return table([["Reason"], ["Frames", true]], element("tbody", {}, rows));
}

function tellStore({ store }) {
  return facts([
    ["State", store.up ? "answers" : "does not answer"],
    ["Memory", bytes(store.memory_bytes)],
    ["Limit", store.memory_limit_bytes === null ? "none" : bytes(store.memory_limit_bytes)],
    ["Given up for want of memory", plural(store.evicted_keys, "key")],
  ]);
}

function tellKept({ retention }) {
  const detection = retention.enhancement_detection_seconds;
  return facts([
    ["Frames of a camera", `${retention.frames} and their group`],
    ["Results of a camera", retention.results],
    ["Enhancement of detections", detection === null ? "as any other" : lasting(detection)],
    ["Enhancement of alerts", lasting(retention.enhancement_alert_seconds)],
    ["History", plural(retention.history_days, "day")],
    ["Audit", plural(retention.audit_days, "day")],
  ]);
}

function facts(pairs) {
  return pairs.flatMap(([name, value]) => [element("dt", {}, name), element("dd", {}, String(value))]);
}

function card(title, ...content) {
  return element("section", { class: "card" }, element("h2", {}, title), content);
}

function cell(value) {
  return element("td", { class: "number" }, String(value));
}

function table(heads, body) {
  const cells = heads.map(([name, number]) => element("th", { scope: "col", class: number && "number" }, name));
  return element("table", {}, element("thead", {}, element("tr", {}, cells)), body);
}

function scrolling(label, content) {
  return element("div", { class: "scroll", role: "region", tabindex: "0", "aria-label": label }, content);
}

function kilobits(bytesPerSecond) {
  return (bytesPerSecond * 8) / 1000;
}

function rate(bytesPerSecond) {
  const value = kilobits(bytesPerSecond);
  return value >= 1000 ? `${(value / 1000).toFixed(1)} Mbit/s` : `${value.toFixed(value < 10 ? 1 : 0)} kbit/s`;
}

function perSecond(value) {
  return `${value.toFixed(1)}/s`;
}

/** A chart of the last hour, with a table of the same values by the minute. */
class Chart {
  constructor({ title, told, unit, series }) {
    this.unit = unit;
    this.series = series;
    this.plot = null;
    this.history = null;
    this.drawn = "";
    this.place = element("div", { class: "plot", "aria-hidden": true });
    this.rows = element("tbody");
    const heads = [["Time"], ...series.map(({ name }) => [unit ? `${name}, ${unit}` : name, true])];
    this.details = element(
      "details",
      { ontoggle: () => this.fill() },
      element("summary", {}, "The same as a table"),
      scrolling(`${title}, by the minute`, table(heads, this.rows)),
    );
    this.figure = element(
      "figure",
      { class: "card" },
      element("figcaption", {}, element("h2", {}, title), element("p", { class: "quiet" }, told)),
      this.place,
      this.details,
    );
  }

  take(history) {
    this.history = history;
    this.draw();
    this.fill();
  }

  values() {
    const times = this.history.times.map((time) => Date.parse(time) / 1000);
    return [times, ...this.series.map(({ of }) => of(this.history))];
  }

  draw() {
    if (this.history === null) return;
    const colours = this.colours();
    if (this.plot === null || this.drawn !== colours.join()) {
      this.plot?.destroy();
      this.plot = new UPlot(this.options(colours), this.values(), this.place);
      this.drawn = colours.join();
    } else {
      this.plot.setData(this.values());
    }
    this.fit();
  }

  options(colours) {
    const [ink, line, ...own] = colours;
    const axis = { stroke: ink, grid: { stroke: line, width: 1 }, ticks: { stroke: line, width: 1 }, font: "12px system-ui" };
    return {
      width: this.width(),
      height: HEIGHT,
      scales: { x: { range: (_, first, last) => [Math.min(first, last - SHORTEST), last] }, y: { range: (_, low, high) => [0, Math.max(high * 1.1, 1)] } },
      axes: [{ ...axis, space: 80, values: (_, moments) => moments.map(hourAndMinute) }, { ...axis, size: 56 }],
      legend: { live: false },
      cursor: { y: false, points: { size: 6 } },
      series: [
        {},
        ...this.series.map(({ name, dash, fill }, index) => ({
          label: name,
          stroke: own[index],
          width: 2,
          dash,
          fill: fill && `color-mix(in srgb, ${own[index]} 18%, transparent)`,
          points: { size: 4 },
        })),
      ],
    };
  }

  /** As they are resolved here, light or dark: a canvas knows no variables. */
  colours() {
    const probe = element("span");
    this.place.append(probe);
    const found = ["--quiet", "--line", ...this.series.map(({ colour }) => colour)].map((name) => {
      probe.style.color = `var(${name})`;
      return getComputedStyle(probe).color;
    });
    probe.remove();
    return found;
  }

  width() {
    return Math.max(200, Math.floor(this.place.clientWidth));
  }

  fit() {
    if (this.plot && this.plot.width !== this.width()) this.plot.setSize({ width: this.width(), height: HEIGHT });
  }

  fill() {
    if (!this.details.open || this.history === null) return;
    const [times, ...columns] = this.values();
    const every = Math.max(1, Math.ceil(times.length / ROWS));
    const rows = [];
    for (let last = times.length - 1; last >= 0; last -= every) {
      const means = columns.map((column) => mean(column.slice(Math.max(0, last - every + 1), last + 1)));
      const cells = means.map((value) => cell(value === null ? "–" : value.toFixed(1)));
      rows.push(element("tr", {}, element("th", { scope: "row" }, new Date(1000 * times[last]).toLocaleTimeString()), cells));
    }
    this.rows.replaceChildren(...rows);
  }

  end() {
    this.plot?.destroy();
    this.plot = null;
  }
}

function hourAndMinute(moment) {
  return new Date(1000 * moment).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
}

function mean(values) {
  const known = values.filter((value) => value !== null);
  return known.length === 0 ? null : known.reduce((sum, value) => sum + value, 0) / known.length;
}
