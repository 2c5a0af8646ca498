// One frame: its machine view at once, its human view for a reason, and all that is known of it.

import { Problem, ask, get, ofCamera, pictureInTurn, read, send } from "./api.js";
import { append, dialog, element, notice } from "./dom.js";
import { colourOf } from "./draw.js";
import { marks } from "./marks.js";
import { Stage } from "./stage.js";
import { at, bytes, inFull, percent, plural, stopped } from "./words.js";

const NEIGHBOURS = [2, 30, 600, 4 * 3600]; // seconds around a frame in which its neighbours are looked for
// Milliseconds until the first slices are shown: below, all may follow at once; above, a step between would only put
// off the sharp picture.
const QUICK = 60;
const BUSY = 600;
const UNAVAILABLE = {
  not_stored: "This frame was sent without an enhancement layer: its edge kept none, or could not reach its store.",
  expired: "Its enhancement layer has expired. Frames that matter can be kept in time: by an operator, or by alert rules.",
  evicted: "Its enhancement layer was evicted to make room. More memory for the store, or a shorter retention, avoids that.",
  key_gone: "The layer of its key frame is gone, without which its own says nothing. Look at a newer frame.",
};
const WAITING = {
  at_edge: "Its enhancement layer waits at the camera, and comes over the uplink when it is asked for.",
  unreachable: "The store with its enhancement layer does not answer now; ask all the same, it may be back.",
};
const KEYS = {
  "← →": "frame before, next frame",
  H: "ask for the human view",
  "B M T": "boxes, masks, tracks on and off",
  "+ − 0": "zoom in, out, to fit",
  D: "download what is shown",
  K: "keep this frame",
  "J U Y N X": "marks: next, before, right, wrong, missed",
  "?": "this list",
};
const REMEDIES = {
  "enhancement-expired": "Keep frames that matter while their layer is there; rules can do it by themselves.",
  "enhancement-evicted": "More store memory, or a shorter retention of frames without detections, avoids that.",
  "key-frame-gone": "Look at a newer frame; keeping a frame keeps its key frame too.",
  "edge-not-connected": "Ask again when the camera is live.",
  "edge-too-slow": "Ask again; the uplink may be busy.",
  "views-busy": "Others look at pictures; ask again.",
  "too-many-requests": "Wait a minute.",
  "audit-unavailable": "Nothing is shown that cannot be put on record. An admin has to see to the server's disk.",
  forbidden: "Human views take the role operator. An admin can give it.",
};

/** The reason an operator gave last, offered for the next frame. */
let lastReason = "";

export async function show(root, parameters, context) {
  const page = new FramePage(root, parameters.camera, context);
  await page.open(parameters.frame);
  return () => page.leave();
}

class FramePage {
  constructor(root, camera, context) {
    this.root = root;
    this.camera = camera;
    this.context = context;
    this.leaving = new AbortController();
    this.opened = 0;
    this.heard = null;
    this.off = context.live.on("result", ({ camera: of, frame }) => {
      if (of !== camera) return;
      this.heard?.add(frame);
      if (frame === this.frame?.frame && this.frame.result === null) this.recognised();
    });
    addEventListener("keydown", (event) => this.key(event), { signal: this.leaving.signal });
  }

  leave() {
    this.leaving.abort();
    this.off();
    this.stage?.leave();
  }

  async open(name) {
    const mine = ++this.opened;
    const heard = (this.heard = new Set());
    let frame;
    try {
      frame = await get(ofCamera(this.camera, "frames", name));
    } catch (problem) {
      if (!(problem instanceof Problem) || problem.status !== 404) throw problem;
      this.root.replaceChildren(gone(this.camera, problem));
      return;
    }
    if (mine !== this.opened || this.leaving.signal.aborted) return;
    this.frame = frame;
    this.reason = null;
    this.build();
    // Its result may have come while the frame itself was on its way.
    this.heard = null;
    if (frame.result === null && heard.has(frame.frame)) this.recognised();
    await this.machineView(mine);
  }

  /** What was seen in a frame that awaited recognition when it was opened. Whatever else is shown or typed stays. */
  async recognised() {
    const mine = this.opened;
    try {
      const frame = await get(this.frame.links.self);
      if (mine !== this.opened || this.leaving.signal.aborted) return;
      this.frame = this.stage.frame = frame;
    } catch (problem) {
      if (!(problem instanceof Problem)) throw problem;
      return;
    }
    this.below.replaceChildren(this.takeBar(), this.seenCard(), this.detailsCard());
    this.humanButton.hidden = !this.stage.human;
    this.marks.replaceChildren();
    this.addMarks(this.marks);
    this.stage.update();
  }

  build() {
    const { frame } = this;
    this.stage?.leave();
    this.stage = new Stage(frame);
    const moment = new Date(frame.captured_at);
    this.older = element("button", { type: "button", title: "Frame before (←)", "aria-label": "Frame before", onclick: () => this.step(1) }, "←");
    this.newer = element("button", { type: "button", title: "Next frame (→)", "aria-label": "Next frame", onclick: () => this.step(-1) }, "→");
    const bar = element(
      "div",
      { class: "bar" },
      element(
        "h1",
        {},
        element("a", { href: `#/cameras/${encodeURIComponent(frame.camera)}` }, frame.camera),
        element("span", { id: "frame-name" }, `frame ${frame.frame} · `, element("time", { datetime: frame.captured_at }, moment.toLocaleString())),
      ),
      element("div", { class: "steps" }, this.older, this.newer),
      element("a", { class: "button", href: `#/cameras/${encodeURIComponent(frame.camera)}/at/${encodeURIComponent(frame.captured_at)}` }, "Timeline"),
      element("button", { type: "button", onclick: () => this.share() }, "Copy link"),
    );
    this.note = element("p", { class: "quiet", id: "note", role: "status" });
    this.bits = element("section", { class: "card", "aria-label": "Bits" });
    this.marks = element("section", { class: "marks", "aria-label": "Marks" });
    this.below = element("div", { class: "below" }, this.takeBar(), this.seenCard(), this.detailsCard());
    this.root.replaceChildren(
      bar,
      element(
        "div",
        { class: "body" },
        element("div", { class: "view" }, this.stage.element, this.stage.tools, this.note),
        element("div", { class: "side" }, this.askCard(), this.marks, this.bits),
        this.below,
      ),
    );
    this.tellBits(null);
    this.addMarks(this.marks);
  }

  async machineView(mine) {
    try {
      const options = { signal: this.leaving.signal };
      const bitmap = await pictureInTurn(this.frame.links.machine_view, options, (seconds) => mine === this.opened && this.stage.tell(inTurn(seconds)));
      if (mine !== this.opened) return;
      this.stage.setMachine(bitmap);
      await this.tellCost("machine");
    } catch (problem) {
      if (problem.name === "AbortError") return;
      if (!(problem instanceof Problem)) throw problem;
      this.stage.tell(inFull(problem));
    }
  }

  askCard() {
    const { session } = this.context;
    const { enhancement } = this.frame;
    this.told = element("p", { class: "told", role: "status" });
    const card = element("section", { class: "card ask", id: "human", "aria-label": "Human view" }, element("h2", {}, "Human view"));
    if (!session.humanViews) {
      append(card, [
        element("p", { class: "told", id: "human-told" }, `Not for a ${session.person?.role ?? "guest"}: human views show people, and take the role operator. An admin can give it.`),
      ]);
      return card;
    }
    const unavailable = UNAVAILABLE[enhancement.state];
    if (unavailable) {
      append(card, [element("p", { class: "told", id: "human-told" }, unavailable)]);
      return card;
    }
    this.reasonField = session.asks
      ? element("input", { id: "reason", required: true, autocomplete: "off", maxlength: session.reason_characters, value: lastReason })
      : null;
    this.askButton = element("button", { class: "main", title: "H" }, "Ask for human view");
    const form = element(
      "form",
      { class: "ask" },
      this.reasonField && [
        element("label", { class: "field" }, "What is it for?", this.reasonField),
        element("p", { class: "quiet" }, "Your name, the frame and this reason go on record."),
      ],
      this.askButton,
      this.told,
    );
    this.told.id = "human-told";
    this.told.textContent = WAITING[enhancement.state] ?? "";
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.askForHumanView();
    });
    this.form = form;
    append(card, [form]);
    return card;
  }

  /** The human view in steps, each sharper than the one before; the reason is typed once. */
  async askForHumanView() {
    const reason = this.reasonField?.value.trim() ?? "";
    if (this.reasonField && !reason) {
      this.reasonField.focus();
      return;
    }
    const mine = this.opened;
    const begun = performance.now();
    lastReason = this.reason = reason;
    this.askButton.disabled = true;
    this.say("Asking for the first slice…");
    const count = this.frame.enhancement.slices;
    const took = [];
    try {
      for (const slices of steps(count)) {
        const last = slices === count;
        if (!last && (took[0] < QUICK || took[0] > BUSY)) continue;
        const address = this.frame.links.human_view + (last ? "" : `&slices=${slices}`);
        const options = { headers: spoken(reason), signal: this.leaving.signal };
        const bitmap = await pictureInTurn(address, options, (seconds) => mine === this.opened && this.say(inTurn(seconds)));
        if (mine !== this.opened) return;
        this.stage.setHuman(bitmap, slices, count);
        took.push(Math.round(performance.now() - begun));
        // Told to whoever measures, when the picture is painted.
        requestAnimationFrame(() => performance.measure(last ? "human view sharp" : "human view refined", { start: begun }));
        this.say(last ? `All ${plural(count, "slice")}: first after ${took[0]} ms, sharp after ${took.at(-1)} ms.` : `${slices} of ${plural(count, "slice")}…`);
      }
      this.humanButton.hidden = false;
      await this.tellCost("human");
    } catch (problem) {
      if (problem.name === "AbortError" || mine !== this.opened) return;
      if (!(problem instanceof Problem)) throw problem;
      this.say(inFull(problem, REMEDIES[problem.kind]), true);
    } finally {
      if (mine === this.opened) this.askButton.disabled = false;
    }
  }

  say(text, failed = false) {
    this.told.textContent = text;
    this.told.classList.toggle("failure", failed);
  }

  seenCard() {
    const { result } = this.frame;
    const card = element("section", { class: "card", "aria-label": "Recognised" }, element("h2", {}, "Recognised"));
    if (result === null) {
      append(card, [element("p", { class: "quiet" }, "Not yet: this frame awaits recognition. What is seen appears here by itself.")]);
      return card;
    }
    const seen = result.detections.map((detection) => this.seen(detection));
    append(card, [
      result.alert && element("p", { class: "alert" }, "Alert: somebody has to look at this frame."),
      result.failure && element("p", { class: "failure" }, result.failure),
      seen.length > 0 && element("ul", { class: "seen", id: "detections" }, seen),
      seen.length === 0 && !result.failure && element("p", { class: "quiet", id: "detections" }, "Nothing was seen in this frame."),
      result.segments?.length > 0 &&
        element("p", { class: "quiet" }, "Areas: ", result.segments.map(({ label, score }) => `${label} ${percent(score)}`).join(", ")),
      result.events?.length > 0 && element("p", { class: "quiet" }, "Events: ", result.events.map(({ kind, track }) => `${kind} ${track}`).join(", ")),
    ]);
    return card;
  }

  seen(detection) {
    const { label, score, box, track, zones, mask, keypoints } = detection;
    const chip = element("span", { class: "chip" }, label);
    chip.style.setProperty("--colour", colourOf(label));
    const more = [
      `${Math.round(box.x_max - box.x_min)} × ${Math.round(box.y_max - box.y_min)} px`,
      track && `track ${track}`,
      zones?.length > 0 && `in ${zones.join(", ")}`,
      mask && "with mask",
      keypoints?.length > 0 && plural(keypoints.length, "keypoint"),
    ];
    const line = element("li", {}, chip, element("span", {}, percent(score)), element("span", { class: "more" }, more.filter(Boolean).join(" · ")));
    line.addEventListener("pointerenter", () => this.stage.point(detection));
    line.addEventListener("pointerleave", () => this.stage.point(null));
    return line;
  }

  /** What the view on show cost. Of a human view that is one more look at it, and on record as such. */
  async tellCost(view) {
    const mine = this.opened;
    try {
      const options = { headers: view === "human" ? spoken(this.reason) : {}, signal: this.leaving.signal };
      const cost = await get(`${this.frame.links.self}/cost?view=${view}`, options);
      if (mine === this.opened) this.tellBits(cost);
    } catch (problem) {
      if (problem.name === "AbortError" || mine !== this.opened) return;
      if (!(problem instanceof Problem)) throw problem;
      this.bits.append(element("p", { class: "quiet" }, `What this view cost cannot be told. ${inFull(problem)}`));
    }
  }

  tellBits(cost) {
    const { enhancement, machine_bytes } = this.frame;
    this.cost = cost;
    const until = enhancement.expires_at && `kept until ${at(enhancement.expires_at)}`;
    const key = cost?.key_frame;
    const layers = [
      ["Machine layer", machine_bytes, "sent at once"],
      enhancement.bytes > 0 && ["Enhancement layer", enhancement.bytes, until ?? "sent when asked for"],
      key && [`Key frame ${key.frame}`, key.machine_bytes + key.enhancement_bytes, "both layers, shared by its group"],
    ];
    const compared = cost && [
      [cost.view === "human" ? "This human view" : "This machine view", cost.view_bytes],
      cost.view === "machine" && ["Both layers", cost.both_layers_bytes],
      cost.jpeg && ["JPEG that shows as much", cost.jpeg.bytes],
    ];
    this.bits.replaceChildren(element("h2", {}, "Bits"), element("table", {}, element("tbody", {}, layers.filter(Boolean).map(row))));
    const slices = cost?.enhancement.by_slice;
    if (slices) this.bits.append(element("p", { class: "quiet slices" }, `By slice: ${slices.map(bytes).join(", ")}.`));
    if (compared) this.bits.append(bars(compared.filter((each) => each && each[1] !== null)));
    const baseline = cost?.jpeg ? `${cost.jpeg.baseline}, quality ${cost.jpeg.quality}: ${cost.jpeg.psnr_db} dB as this view has, by ${cost.jpeg.measured}.` : cost?.jpeg_missing && `No JPEG to compare with: ${cost.jpeg_missing}.`;
    if (baseline) this.bits.append(element("p", { class: "baseline" }, baseline));
  }

  detailsCard() {
    const { frame } = this;
    const { result } = frame;
    const facts = [
      ["Captured", new Date(frame.captured_at).toLocaleString()],
      ["Session", `${frame.session}, frame ${frame.sequence}`],
      [
        "Key frame",
        frame.key_frame
          ? element("a", { href: `#/cameras/${encodeURIComponent(frame.camera)}/frames/${frame.key_frame}` }, `predicted from ${frame.key_frame}`)
          : "this one is",
      ],
      result && ["Size", `${result.width} × ${result.height}`],
      result && ["Recogniser", result.recogniser],
      result && ["Took", `${(result.decode_us / 1000).toFixed(0)} ms to decode, ${(result.recognise_us / 1000).toFixed(0)} ms to recognise`],
    ];
    const list = element("dl", { class: "facts" });
    for (const [term, told] of facts.filter(Boolean)) append(list, [element("dt", {}, term), element("dd", {}, told)]);
    return element("section", { class: "card", "aria-label": "Details" }, element("h2", {}, "Details"), list);
  }

  takeBar() {
    const { session } = this.context;
    const human = session.humanViews;
    this.humanButton = element("button", { type: "button", hidden: true, onclick: () => this.download("human") }, "Download human view");
    return element(
      "div",
      { class: "take" },
      element("button", { type: "button", title: "D", onclick: () => this.download("machine") }, "Download machine view"),
      this.humanButton,
      human && element("button", { type: "button", title: "K", onclick: () => this.keep() }, "Keep this frame"),
      element("button", { type: "button", class: "plain keys", title: "?", onclick: tellKeys }, "Keys"),
    );
  }

  async download(view) {
    await this.attempt(async () => {
      const response = await ask(`${this.frame.links[`${view}_view`]}&download=true`, { accept: "image/png", headers: view === "human" ? spoken(this.reason) : {} });
      const named = /filename="([^"]+)"/.exec(response.headers.get("Content-Disposition") ?? "");
      const address = URL.createObjectURL(await read(response, "blob"));
      element("a", { href: address, download: named?.[1] ?? `${this.camera}-${this.frame.frame}-${view}.png` }).click();
      URL.revokeObjectURL(address);
      return "Downloaded, with its provenance inside the file.";
    });
  }

  async keep() {
    const reason = this.reasonField?.value.trim() ?? "";
    if (this.reasonField && !reason) {
      this.note.textContent = "Say what it is for, in the field of the human view; then keep it.";
      this.reasonField.focus();
      return;
    }
    await this.attempt(async () => {
      const kept = await send("POST", `${this.frame.links.self}/keep`, undefined, spoken(reason));
      this.frame.enhancement = kept.enhancement;
      this.tellBits(this.cost);
      return kept.enhancement.expires_at ? `Kept until ${new Date(kept.enhancement.expires_at).toLocaleString()}.` : "Kept.";
    });
  }

  async share() {
    await this.attempt(async () => {
      await navigator.clipboard.writeText(location.href);
      return "The link to this frame is in the clipboard.";
    });
  }

  /** Do something that ends in a line of text, also when it fails. */
  async attempt(deed) {
    try {
      this.note.textContent = await deed();
    } catch (problem) {
      this.note.textContent = problem instanceof Problem ? inFull(problem) : `The browser does not allow it: copy ${location.href}`;
    }
  }

  /** Go to the frame before (1) or after (-1) this one. */
  async step(direction) {
    const mine = this.opened;
    await this.attempt(async () => {
      const found = await this.neighbour(direction);
      if (mine !== this.opened) return "";
      if (!found) return direction > 0 ? "This is the oldest frame that is kept near here." : "This is the newest frame.";
      history.pushState(null, "", `#/cameras/${encodeURIComponent(this.camera)}/frames/${found.frame}`);
      await this.open(found.frame);
      return "";
    });
  }

  async neighbour(direction) {
    const moment = new Date(this.frame.captured_at);
    for (const seconds of NEIGHBOURS) {
      const [from, to] = [new Date(moment - 1 - (direction > 0) * seconds * 1000), new Date(+moment + 1 + (direction < 0) * seconds * 1000)];
      const { frames } = await get(`${ofCamera(this.camera, "frames")}?from=${from.toISOString()}&to=${to.toISOString()}&limit=100`);
      const index = frames.findIndex(({ frame }) => frame === this.frame.frame);
      const found = index >= 0 && frames[index + direction];
      if (found) return found;
    }
    return null;
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select, textarea, dialog")) return;
    const deeds = {
      ArrowLeft: () => this.step(1),
      ArrowRight: () => this.step(-1),
      h: () => this.form && (this.reasonField && !this.reasonField.value ? this.reasonField.focus() : this.form.requestSubmit()),
      d: () => this.download(this.stage.human ? "human" : "machine"),
      k: () => this.context.session.humanViews && this.keep(),
      "?": tellKeys,
    };
    const deed = deeds[event.key] ?? this.stage?.keys[event.key];
    if (!deed) return;
    event.preventDefault();
    deed();
  }

  async addMarks(container) {
    if (!this.context.session.humanViews) return;
    const { frame, stage } = this;
    await marks(container, frame, { ...this.context, stage, headers: () => spoken(this.reason), signal: this.leaving.signal });
  }
}

function tellKeys() {
  const list = element("dl", { class: "facts" });
  for (const [key, deed] of Object.entries(KEYS)) append(list, [element("dt", {}, element("kbd", {}, key)), element("dd", {}, deed)]);
  dialog("Keys", element("div", { class: "content" }, list));
}

function inTurn(seconds) {
  return `Others look at pictures; this one is asked for again in ${seconds} s.`;
}

/** After how many slices the picture is shown anew. */
function steps(count) {
  return count > 3 ? [1, Math.ceil(count / 2), count] : [1, count].slice(count === 1 ? 1 : 0);
}

/** The header with a reason. Headers are bytes: those of its UTF-8. */
function spoken(reason) {
  return reason ? { "Secondsight-Reason": String.fromCharCode(...new TextEncoder().encode(reason)) } : {};
}

function row([name, count, told]) {
  return element("tr", {}, element("th", { scope: "row" }, name), element("td", { class: "number" }, bytes(count)), element("td", { class: "quiet" }, told));
}

/** Bytes side by side, as lengths. */
function bars(compared) {
  const most = Math.max(...compared.map(([, count]) => count));
  const list = element("ul", { class: "bars" });
  for (const [name, count] of compared) {
    const bar = element("span", { class: "length" });
    bar.style.width = `${(100 * count) / most}%`;
    list.append(element("li", {}, element("span", {}, name), element("b", {}, bytes(count)), element("span", { class: "track" }, bar)));
  }
  return list;
}

function gone(camera, problem) {
  return notice(
    "error",
    problem.title,
    problem.kind === "unknown-frame" ? `${problem.message} Frames are kept for a while only, unless somebody keeps them.` : stopped(problem.message),
    element("a", { class: "button", href: `#/cameras/${encodeURIComponent(camera)}` }, "Timeline of the camera"),
    element("a", { class: "button", href: "#/" }, "Wall"),
  );
}
