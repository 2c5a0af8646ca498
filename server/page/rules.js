// The rules of a camera as a form: what is published, how long layers are kept, and zones drawn on the picture.

import { Problem } from "./api.js";
import { field } from "./admin.js";
import { element } from "./dom.js";
import { colourOf } from "./draw.js";
import { inFull, lasting } from "./words.js";
import { ZoneEditor } from "./zones.js";

const UNITS = { 60: "minutes", 3600: "hours", 86400: "days" };
const SOURCES = {
  file: "These rules are those of the file that --rules names. They are changed there, not here: start the server without --rules to keep them in the store.",
  default: "This camera follows the rules of all other cameras. What you save here holds for it alone.",
  camera: "This camera has rules of its own.",
};

let forms = 0;

export class RulesForm {
  /** `told` is the document of the rules; `save` and `drop` may throw a `Problem`, `reload` begins anew. */
  constructor(told, { labels, save, drop, reload }) {
    this.told = told;
    this.save = save;
    this.reload = reload;
    const { rules, server, writable } = told;
    this.number = ++forms;
    this.zones = Object.entries(rules.zones).map(([name, zone]) => ({ ...structuredClone(zone), name }));
    this.choices = element("datalist", { id: `labels-${this.number}` }, labels.map((value) => element("option", { value })));
    this.labels = this.labelsInput(rules.labels);
    this.score = share(rules.minimum_score, 1);
    this.size = share(rules.minimum_size, 0.01);
    this.track = element("input", { type: "checkbox", checked: rules.track });
    this.lost = element("input", { type: "number", min: 0.1, max: 3600, step: "any", required: true, value: rules.lost_after_s });
    this.detection = duration(rules.retention.detection_s, server.detection_s);
    this.alert = duration(rules.retention.alert_s, server.alert_s);
    this.editor = new ZoneEditor(this.zones, { readOnly: !writable, changed: () => this.changed(), selected: () => this.listZones() });
    this.list = element("ul", { class: "zone-list" });
    this.status = element("p", { role: "status", class: "quiet" });
    this.fault = element("p", { role: "alert", class: "failure", hidden: true });
    this.saver = element("button", { class: "main" }, "Save");
    this.undo = element("button", { type: "button", onclick: reload }, "Undo");
    const dropper = drop && element("button", { type: "button", class: "danger", onclick: () => this.act(drop) }, "Follow all other cameras again");
    const own = element(
      "fieldset",
      { disabled: !writable },
      element("legend", { class: "visually-hidden" }, "Rules"),
      element("h2", {}, "What is published"),
      field("Labels", this.labels, "Separated by commas; empty for all"),
      element("div", { class: "pairs" }, field("Minimum score, %", this.score), field("Minimum size, % of the picture", this.size)),
      element("label", { class: "choice" }, this.track, "Track: the same thing keeps its name, and comes and goes"),
      field("Gone after so many seconds unseen", this.lost),
      element("h2", {}, "How long enhancement layers are kept"),
      element("div", { class: "pairs" }, field("Something was recognised", this.detection.root, this.detection.hint), field("Somebody has to look", this.alert.root, this.alert.hint)),
      element("p", { class: "hint" }, "Layers that wait at an edge are kept as its own configuration says."),
      this.choices,
    );
    this.root = element(
      "form",
      { class: "rules-form", onsubmit: (event) => this.submit(event), oninput: () => this.changed(), onchange: () => this.changed() },
      element("p", { class: told.writable ? "quiet" : "card read-only" }, told.camera === null && told.writable ? "These hold for every camera without rules of its own." : SOURCES[told.source]),
      told.fault && element("p", { class: "failure", role: "alert" }, `What is stored cannot be, and other rules are in force: ${told.fault}. Save to replace it.`),
      element(
        "div",
        { class: "rules-parts" },
        element("section", { class: "card", "aria-label": "Zones" }, element("h2", {}, "Zones"), this.editor.root, this.list),
        element("section", { class: "card own-rules" }, own),
      ),
      this.fault,
      writable && element("div", { class: "bar save" }, this.status, dropper, this.undo, this.saver),
    );
    this.editor.choose(this.zones[0] ?? null);
    this.before = JSON.stringify(this.value());
    this.changed();
  }

  labelsInput(labels, attributes = {}) {
    return element("input", { value: (labels ?? []).join(", "), placeholder: "all", autocomplete: "off", list: `labels-${this.number}`, ...attributes });
  }

  get dirty() {
    return JSON.stringify(this.value()) !== this.before;
  }

  /** The rules as they are in the form. */
  value() {
    return {
      ...this.told.rules,
      labels: listed(this.labels.value),
      minimum_score: shareOf(this.score),
      minimum_size: shareOf(this.size),
      track: this.track.checked,
      lost_after_s: Number(this.lost.value),
      retention: { detection_s: this.detection.value(), alert_s: this.alert.value() },
      zones: Object.fromEntries(this.zones.map(({ name, ...zone }) => [name, zone])),
    };
  }

  changed() {
    const { dirty } = this;
    this.saver.disabled = this.undo.disabled = !dirty;
    this.status.textContent = dirty ? "Not saved yet" : "";
  }

  say(text) {
    this.status.textContent = text;
  }

  listZones() {
    const { zone: chosen } = this.editor;
    if (!this.list) return;
    if (this.zones.length === 0) {
      this.list.replaceChildren(element("li", { class: "quiet" }, "No zones. What is seen anywhere counts the same."));
      return;
    }
    this.list.replaceChildren(...this.zones.map((zone) => this.zoneItem(zone, zone === chosen)));
  }

  zoneItem(zone, chosen) {
    const item = element("li", { "data-zone": zone.name });
    const mark = element("span", { class: "swatch" });
    mark.style.setProperty("--colour", colourOf(zone.name));
    item.append(element("button", { type: "button", class: "plain", "aria-expanded": String(chosen), onclick: () => this.editor.choose(zone) }, mark, zone.name, element("span", { class: "quiet" }, told(zone))));
    if (!chosen) return item;
    const name = element("input", { value: zone.name, required: true, maxlength: 64, onchange: () => this.rename(zone, name) });
    const labels = this.labelsInput(zone.labels, { oninput: () => (zone.labels = listed(labels.value)) });
    const score = share(zone.minimum_score, 1, { oninput: () => (zone.minimum_score = shareOf(score)) });
    const dwell = element("input", { type: "number", min: 0, max: 86400, step: "any", value: zone.dwell_s, oninput: () => (zone.dwell_s = Number(dwell.value)) });
    const alert = element("input", { type: "checkbox", checked: zone.alert, onchange: () => (zone.alert = alert.checked) });
    item.append(
      element(
        "fieldset",
        { disabled: this.editor.readOnly, class: "zone-fields" },
        element("legend", { class: "visually-hidden" }, `Zone ${zone.name}`),
        element("div", { class: "pairs" }, field("Name", name), field("Labels that count", labels)),
        element("div", { class: "pairs" }, field("Minimum score, %", score), field("Dwell time, seconds", dwell, "Needs tracking")),
        element("label", { class: "choice" }, alert, "Alert: somebody has to look, and the layer is kept longer"),
        element("div", { class: "bar end" }, element("button", { type: "button", class: "danger", onclick: () => this.editor.removeZone(zone) }, "Remove this zone")),
      ),
    );
    return item;
  }

  rename(zone, input) {
    const name = input.value.trim();
    const taken = this.zones.some((other) => other !== zone && other.name === name);
    input.setCustomValidity(taken ? "Another zone has this name." : "");
    if (!name || !input.reportValidity()) return;
    zone.name = name;
    this.editor.choose(zone);
    this.changed();
  }

  submit(event) {
    event.preventDefault();
    const value = this.value();
    const dwelling = Object.entries(value.zones).find(([, zone]) => zone.dwell_s > 0);
    if (dwelling && !value.track) return this.tellFault(`Zone ${dwelling[0]} has a dwell time, which needs tracking: switch Track on.`);
    return this.act(() => this.save(value));
  }

  async act(does) {
    this.fault.hidden = true;
    this.saver.disabled = true;
    try {
      await does();
    } catch (problem) {
      if (!(problem instanceof Problem)) throw problem;
      this.saver.disabled = false;
      this.tellFault(inFull(problem));
      if (problem.kind === "changed-meanwhile") this.fault.append(" ", element("button", { type: "button", onclick: this.reload }, "Load what is there now"));
    }
  }

  tellFault(text) {
    this.fault.textContent = text;
    this.fault.hidden = false;
    this.fault.scrollIntoView({ block: "nearest" });
  }

  leave() {
    this.editor.leave();
  }
}

function told(zone) {
  const parts = [zone.labels && zone.labels.join(", "), zone.dwell_s > 0 && `after ${lasting(zone.dwell_s)}`, zone.alert && "alert"];
  return parts.filter(Boolean).join(" · ");
}

/** A field for a share in percent. */
function share(value, step, attributes = {}) {
  return element("input", { type: "number", min: 0, max: 100, step: step === 1 ? "any" : step / 1, value: percentOf(value), required: true, ...attributes });
}

function percentOf(value) {
  return Math.round(value * 1e6) / 1e4;
}

function shareOf(input) {
  return Math.round(Number(input.value) * 1e4) / 1e6;
}

function listed(text) {
  const labels = text.split(",").map((label) => label.trim()).filter(Boolean);
  return labels.length > 0 ? [...new Set(labels)].sort() : null;
}

/** A field for a time in a unit that fits; `otherwise` are the seconds that hold when it is empty, null for no longer than others. */
function duration(seconds, otherwise) {
  const unit = [86400, 3600, 60].find((each) => seconds !== null && seconds % each === 0) ?? (seconds === null ? 86400 : 60);
  const number = element("input", { type: "number", min: 0, step: "any", value: seconds === null ? "" : seconds / unit });
  const select = element("select", { "aria-label": "Unit" }, Object.entries(UNITS).map(([value, title]) => element("option", { value }, title)));
  select.value = unit;
  return {
    root: element("span", { class: "duration" }, number, select),
    hint: `Empty: ${otherwise === null ? "no longer than others" : lasting(otherwise)}, as the server has it`,
    value: () => (number.value === "" ? null : Number(number.value) * Number(select.value)),
  };
}
