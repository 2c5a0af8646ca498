// Pictures with boxes on a canvas, and how numbers are written.

/** A colour of its own for every label, the same everywhere on the page. */
export function colourOf(label) {
  let hash = 0;
  for (const letter of label) hash = (hash * 31 + letter.codePointAt(0)) % 360;
  return `hsl(${(hash * 47) % 360} 85% 58%)`;
}

/** Draw a picture at its own size, and the detections that belong to it. */
export function draw(canvas, bitmap, detections = []) {
  canvas.width = bitmap.width;
  canvas.height = bitmap.height;
  const context = canvas.getContext("2d");
  context.drawImage(bitmap, 0, 0);
  const unit = Math.max(bitmap.width, bitmap.height) / 640;
  const height = Math.max(14 * unit, 9);
  context.font = `600 ${height}px system-ui, sans-serif`;
  context.textBaseline = "top";
  for (const { label, score, box } of detections) {
    const colour = colourOf(label);
    context.lineWidth = Math.max(2 * unit, 1);
    context.strokeStyle = colour;
    context.strokeRect(box.x_min, box.y_min, box.x_max - box.x_min, box.y_max - box.y_min);
    const text = `${label} ${percent(score)}`;
    const width = context.measureText(text).width + height * 0.6;
    const left = Math.max(0, Math.min(box.x_min, bitmap.width - width));
    const top = Math.max(0, box.y_min - height * 1.3);
    context.fillStyle = colour;
    context.fillRect(left, top, width, height * 1.3);
    context.fillStyle = "#111";
    context.fillText(text, left + height * 0.3, top + height * 0.2);
  }
}

/** Fill a list with one chip per label, and how often it was seen. */
export function chips(list, detections) {
  const counts = new Map();
  for (const { label } of detections) counts.set(label, (counts.get(label) ?? 0) + 1);
  list.replaceChildren(
    ...[...counts].map(([label, count]) => {
      const chip = document.createElement("li");
      chip.style.setProperty("--colour", colourOf(label));
      chip.textContent = count > 1 ? `${label} × ${count}` : label;
      return chip;
    }),
  );
}

export function percent(score) {
  return `${Math.round(score * 100)} %`;
}

export function bytes(count) {
  return count < 1000 ? `${count} B` : `${(count / 1000).toFixed(1)} kB`;
}

/** How long ago, in words. */
export function ago(moment) {
  const seconds = Math.max(0, Math.round((Date.now() - new Date(moment)) / 1000));
  if (seconds < 2) return "now";
  if (seconds < 60) return `${seconds} s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  return new Date(moment).toLocaleString();
}
