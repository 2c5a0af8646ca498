// Masks as COCO's compressed run lengths, https://github.com/cocodataset/cocoapi, common/maskApi.c: rleFrString.

/** Lengths of runs, down the columns, of pixels outside and inside by turns. */
export function runs(counts) {
  const lengths = [];
  let position = 0;
  while (position < counts.length) {
    let length = 0;
    let shift = 0;
    let letter;
    do {
      letter = counts.charCodeAt(position++) - 48;
      length |= (letter & 0x1f) << shift;
      shift += 5;
    } while (letter & 0x20);
    if (letter & 0x10) length |= -1 << shift;
    if (lengths.length > 2) length += lengths.at(-2);
    lengths.push(length);
  }
  return lengths;
}

const painted = new WeakMap();

/** Lay a mask over the picture; `place` as for drawDetections. */
export function drawMask(context, mask, colour, place) {
  if (!painted.has(mask)) painted.set(mask, paint(mask, colour));
  const [height, width] = mask.size;
  context.drawImage(painted.get(mask), place.left, place.top, width * place.scale, height * place.scale);
}

function paint({ size: [height, width], counts }, colour) {
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d");
  context.fillStyle = colour;
  context.globalAlpha = 0.45;
  let start = 0;
  let inside = false;
  for (const length of runs(counts)) {
    // A run may go on at the top of the next column.
    for (let from = start; inside && from < start + length; ) {
      const top = from % height;
      const down = Math.min(height - top, start + length - from);
      context.fillRect((from - top) / height, top, 1, down);
      from += down;
    }
    start += length;
    inside = !inside;
  }
  return canvas;
}
