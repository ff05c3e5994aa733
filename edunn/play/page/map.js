// The surface from above: colours and contour lines, the race's paths, a cursor, and a click that adds a start.

import { ticks } from "./field.js";
import { height, ink, ruleStyle } from "./palette.js";
import { number } from "./texts.js";

const EDGE = { left: 52, right: 12, top: 10, bottom: 34 };
const LINES = 14;

export class FlatMap {
  constructor(canvas, { start, hover }) {
    Object.assign(this, { canvas, field: null, paths: [], marks: [], cursor: null, now: 1 });
    canvas.addEventListener("click", (event) => {
      const at = this.place(event);
      if (at) start(at);
    });
    canvas.addEventListener("pointermove", (event) => hover(this.place(event), this.nearest(event)));
    canvas.addEventListener("pointerleave", () => hover(null, null));
    canvas.addEventListener("keydown", (event) => this.key(event, start, hover));
  }

  get box() {
    const { clientWidth, clientHeight } = this.canvas;
    return {
      x: EDGE.left,
      y: EDGE.top,
      width: clientWidth - EDGE.left - EDGE.right,
      height: clientHeight - EDGE.top - EDGE.bottom,
    };
  }

  toPixel(w, b) {
    const { box, field } = this;
    return [
      box.x + ((w - field.w[0]) / (field.w[1] - field.w[0])) * box.width,
      box.y + (1 - (b - field.b[0]) / (field.b[1] - field.b[0])) * box.height,
    ];
  }

  // Returns the point [w, b] under the pointer, or null outside the window.
  place(event) {
    if (!this.field) return null;
    const area = this.canvas.getBoundingClientRect();
    const { box, field } = this;
    const u = (event.clientX - area.left - box.x) / box.width;
    const v = 1 - (event.clientY - area.top - box.y) / box.height;
    if (!(u >= 0 && u <= 1 && v >= 0 && v <= 1)) return null;
    return [field.w[0] + u * (field.w[1] - field.w[0]), field.b[0] + v * (field.b[1] - field.b[0])];
  }

  // Returns the step of a path that is nearest to the pointer, within 12 pixels, or null.
  nearest(event) {
    if (!this.field) return null;
    const area = this.canvas.getBoundingClientRect();
    const [x, y] = [event.clientX - area.left, event.clientY - area.top];
    let best = null;
    let least = 144;
    for (const path of this.paths)
      path.points.forEach(([w, b, loss], step) => {
        const [u, v] = this.toPixel(w, b);
        const distance = (u - x) ** 2 + (v - y) ** 2;
        if (distance < least) [least, best] = [distance, { rule: path.rule, step, w, b, loss }];
      });
    return best;
  }

  key(event, start, hover) {
    if (!this.field) return;
    const { w, b } = this.field;
    const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
    this.cursor ??= [(w[0] + w[1]) / 2, (b[0] + b[1]) / 2];
    if (way) {
      const step = event.shiftKey ? 0.1 : 0.02;
      this.cursor = [w, b].map((side, k) =>
        Math.min(Math.max(this.cursor[k] + way[k] * step * (side[1] - side[0]), side[0]), side[1]),
      );
      hover(this.cursor, null);
      this.draw();
    } else if (event.key === "Enter" || event.key === " ") start(this.cursor);
    else return;
    event.preventDefault();
  }

  show(field, scale) {
    Object.assign(this, { field, scale });
    const levels = field.levels(scale);
    this.picture = paint(field, levels);
    this.lines = contours(field, levels);
    this.draw();
  }

  draw() {
    const ratio = Math.min(devicePixelRatio || 1, 2);
    const { clientWidth: width, clientHeight: tall } = this.canvas;
    if (!width || !tall) return;
    Object.assign(this.canvas, { width: width * ratio, height: tall * ratio });
    const pen = this.canvas.getContext("2d");
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    if (!this.field) return;
    const { box, field } = this;
    pen.imageSmoothingQuality = "high";
    pen.drawImage(this.basins ?? this.picture, box.x, box.y, box.width, box.height);
    pen.save();
    pen.beginPath();
    pen.rect(box.x, box.y, box.width, box.height);
    pen.clip();
    pen.strokeStyle = "#0007";
    pen.lineWidth = 0.8;
    pen.beginPath();
    for (const [i, j, k, l] of this.lines) {
      pen.moveTo(box.x + i * box.width, box.y + (1 - j) * box.height);
      pen.lineTo(box.x + k * box.width, box.y + (1 - l) * box.height);
    }
    pen.stroke();
    if (this.arrows) this.drawArrows(pen);
    for (const path of this.paths) this.drawPath(pen, path);
    for (const mark of this.marks) this.drawMark(pen, mark);
    if (this.cursor) {
      const [x, y] = this.toPixel(...this.cursor);
      pen.strokeStyle = "#fff";
      pen.lineWidth = 1.5;
      pen.strokeRect(x - 5, y - 5, 10, 10);
    }
    pen.restore();
    pen.fillStyle = ink("soft");
    pen.font = "12px system-ui";
    pen.textAlign = "center";
    for (const tick of ticks(...field.w))
      pen.fillText(number(tick, 3), this.toPixel(tick, field.b[0])[0], box.y + box.height + 15);
    pen.textAlign = "right";
    for (const tick of ticks(...field.b))
      pen.fillText(number(tick, 3), box.x - 6, this.toPixel(field.w[0], tick)[1] + 4);
    pen.fillStyle = ink("ink");
    pen.font = "italic 600 14px system-ui";
    pen.textAlign = "center";
    pen.fillText("w", box.x + box.width / 2, box.y + box.height + 30);
    pen.fillText("b", 12, box.y + box.height / 2);
  }

  drawPath(pen, path) {
    const style = ruleStyle(path.rule);
    const last = Math.round(this.now * (path.points.length - 1));
    const points = path.points.slice(0, last + 1).filter(([w, b]) => Number.isFinite(w) && Number.isFinite(b));
    if (!points.length) return;
    pen.lineJoin = "round";
    for (const [colour, wide, dash] of [
      ["#000b", 4.5, []],
      [style.colour, 2, style.dash],
    ]) {
      pen.strokeStyle = colour;
      pen.lineWidth = wide;
      pen.setLineDash(dash);
      pen.beginPath();
      for (const [k, [w, b]] of points.entries()) pen[k ? "lineTo" : "moveTo"](...this.toPixel(w, b));
      pen.stroke();
    }
    pen.setLineDash([]);
    for (const [at, size] of [
      [points[0], 3.5],
      [points.at(-1), 5],
    ]) {
      pen.beginPath();
      pen.arc(...this.toPixel(at[0], at[1]), size, 0, 2 * Math.PI);
      pen.fillStyle = style.colour;
      pen.fill();
      pen.strokeStyle = "#000c";
      pen.lineWidth = 1.5;
      pen.stroke();
    }
  }

  // Minus the gradient, where a step would go: all arrows of one length where the slope is steep, shorter where flat.
  drawArrows(pen) {
    const { arrows, box } = this;
    const reach = box.width / 50;
    let steepest = 0;
    for (let k = 0; k < arrows.length; k += 4) steepest = Math.max(steepest, Math.hypot(arrows[k + 2], arrows[k + 3]));
    const scale = [box.width / (this.field.w[1] - this.field.w[0]), box.height / (this.field.b[1] - this.field.b[0])];
    pen.strokeStyle = "#fffc";
    pen.lineWidth = 1.3;
    pen.beginPath();
    for (let k = 0; k < arrows.length; k += 4) {
      const [u, v] = [arrows[k + 2] * scale[0], -arrows[k + 3] * scale[1]];
      const size = Math.hypot(u, v);
      const steep = Math.hypot(arrows[k + 2], arrows[k + 3]) / steepest;
      if (!(size > 0 && steep > 0)) continue;
      const long = reach * Math.min(1, 0.25 + 0.75 * steep ** 0.3);
      const [x, y] = this.toPixel(arrows[k], arrows[k + 1]);
      const [dx, dy] = [(u / size) * long, (v / size) * long];
      pen.moveTo(x - dx, y - dy);
      pen.lineTo(x + dx, y + dy);
      for (const side of [-1, 1]) {
        pen.moveTo(x + dx, y + dy);
        pen.lineTo(x + dx * 0.4 - side * dy * 0.35, y + dy * 0.4 + side * dx * 0.35);
      }
    }
    pen.stroke();
  }

  // A minimum is a cross, a saddle an x.
  drawMark(pen, { w, b, kind }) {
    const [x, y] = this.toPixel(w, b);
    const arms =
      kind === "minimum"
        ? [
            [7, 0],
            [0, 7],
          ]
        : [
            [5, 5],
            [5, -5],
          ];
    for (const [colour, wide] of [
      ["#000c", 5],
      ["#fff", 2.5],
    ]) {
      pen.strokeStyle = colour;
      pen.lineWidth = wide;
      pen.beginPath();
      for (const [u, v] of arms) {
        pen.moveTo(x - u, y - v);
        pen.lineTo(x + u, y + v);
      }
      pen.stroke();
    }
  }
}

// Returns the levels as a picture, b upwards. A value that is not finite stays transparent.
function paint(field, levels) {
  const picture = document.createElement("canvas");
  Object.assign(picture, { width: field.rows, height: field.columns });
  const pen = picture.getContext("2d");
  const image = pen.createImageData(field.rows, field.columns);
  for (let i = 0; i < field.rows; i++)
    for (let j = 0; j < field.columns; j++) {
      const t = levels[i * field.columns + j];
      const at = 4 * ((field.columns - 1 - j) * field.rows + i);
      if (Number.isFinite(t)) image.data.set([...height(t), 255], at);
    }
  pen.putImageData(image, 0, 0);
  return picture;
}

const ENDS = ["#3a7ebf", "#e0a030", "#4aa878", "#c06090", "#8a7ad0", "#a0a0a0"];

// Returns the ends of descent as a picture: a colour for each place, the best first, and black where it diverged.
export function paintEnds(labels, rows, columns) {
  const picture = document.createElement("canvas");
  Object.assign(picture, { width: rows, height: columns });
  const pen = picture.getContext("2d");
  for (let i = 0; i < rows; i++)
    for (let j = 0; j < columns; j++) {
      const label = labels[i * columns + j];
      pen.fillStyle = label < 0 ? "#111" : ENDS[Math.min(label, ENDS.length - 1)];
      pen.fillRect(i, columns - 1 - j, 1, 1);
    }
  return picture;
}

// Returns the contour lines by marching squares, as segments [w, b, w, b] in units of the window.
export function contours(field, levels) {
  const segments = [];
  const { rows, columns } = field;
  for (let i = 0; i < rows - 1; i++)
    for (let j = 0; j < columns - 1; j++) {
      const k = i * columns + j;
      const corner = [levels[k], levels[k + columns], levels[k + columns + 1], levels[k + 1]];
      const low = Math.min(...corner);
      const high = Math.max(...corner);
      if (!(high > low)) continue; // flat, or not finite
      for (let n = Math.ceil(low * LINES); n <= high * LINES; n++) {
        const level = n / LINES;
        const crossings = [];
        for (let side = 0; side < 4; side++) {
          const [one, two] = [corner[side], corner[(side + 1) % 4]];
          if (one < level === two < level) continue;
          const t = (level - one) / (two - one);
          crossings.push(
            [
              [t, 0],
              [1, t],
              [1 - t, 1],
              [0, 1 - t],
            ][side],
          );
        }
        for (let c = 0; c + 1 < crossings.length; c += 2)
          segments.push([
            (i + crossings[c][0]) / (rows - 1),
            (j + crossings[c][1]) / (columns - 1),
            (i + crossings[c + 1][0]) / (rows - 1),
            (j + crossings[c + 1][1]) / (columns - 1),
          ]);
      }
    }
  return segments;
}
