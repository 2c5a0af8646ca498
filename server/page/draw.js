// Pictures with what was recognised in them.

import { percent } from "./words.js";

/** A colour of its own for every label, the same everywhere in the console. */
export function colourOf(label) {
  let hash = 0;
  for (const letter of label) hash = (hash * 31 + letter.codePointAt(0)) % 360;
  return `hsl(${(hash * 47) % 360} 85% 62%)`;
}

/** How a picture of `width` x `height` fits into a canvas: its scale and its upper left corner. */
export function fit(canvas, width, height) {
  const scale = Math.min(canvas.width / width, canvas.height / height);
  return { scale, left: (canvas.width - width * scale) / 2, top: (canvas.height - height * scale) / 2 };
}

/**
 * Boxes with their labels (or `name`s); `place` says where pixel (0, 0) of the frame lies on the canvas and how large a pixel is,
 * `unit` how many pixels of the canvas one of the screen has, `size` how high letters are on the screen; below 12 the
 * scores are left out.
 */
export function drawDetections(context, detections, place, unit = 1, size = 13) {
  const height = size * unit;
  context.font = `600 ${height}px system-ui, sans-serif`;
  context.textBaseline = "middle";
  for (const detection of detections) {
    const { label, name = label, score, box } = detection;
    const x = place.left + box.x_min * place.scale;
    const y = place.top + box.y_min * place.scale;
    const colour = colourOf(label);
    context.lineWidth = (size < 12 ? 1.5 : 2) * unit;
    context.strokeStyle = colour;
    context.strokeRect(x, y, (box.x_max - box.x_min) * place.scale, (box.y_max - box.y_min) * place.scale);
    const text = size < 12 ? name : `${name} ${percent(score)}`;
    const width = context.measureText(text).width + height * 0.7;
    const left = Math.max(0, Math.min(x - unit, context.canvas.width - width));
    const top = Math.max(0, y - height * 1.4);
    context.fillStyle = colour;
    context.fillRect(left, top, width, height * 1.4);
    context.fillStyle = "#111";
    context.fillText(text, left + height * 0.35, top + height * 0.72);
  }
}

/** Fill a list with one chip per label, and how often it was seen. */
export function chips(list, detections) {
  const counts = new Map();
  for (const { label } of detections) counts.set(label, (counts.get(label) ?? 0) + 1);
  list.replaceChildren(
    ...[...counts].map(([label, count]) => {
      const chip = document.createElement("li");
      chip.className = "chip";
      chip.style.setProperty("--colour", colourOf(label));
      chip.textContent = count > 1 ? `${label} × ${count}` : label;
      return chip;
    }),
  );
}
