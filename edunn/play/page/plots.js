// Two plots on canvases: the samples with each rule's curve, and the loss by step.

import { ticks } from "./field.js";
import { ink, ruleStyle } from "./palette.js";
import { number } from "./texts.js";

const EDGE = { left: 52, right: 12, top: 10, bottom: 34 };

// A frame with axes: turns numbers into pixels of a canvas.
class Frame {
  constructor(canvas, x, y, logarithmic = false) {
    const ratio = Math.min(devicePixelRatio || 1, 2);
    const { clientWidth: width, clientHeight: tall } = canvas;
    Object.assign(canvas, { width: width * ratio, height: tall * ratio });
    Object.assign(this, { canvas, x, y, logarithmic });
    this.box = {
      x: EDGE.left,
      y: EDGE.top,
      width: width - EDGE.left - EDGE.right,
      height: tall - EDGE.top - EDGE.bottom,
    };
    this.pen = canvas.getContext("2d");
    this.pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  }

  toPixel(x, y) {
    const { box } = this;
    const tall = this.logarithmic ? Math.log10(y) : y;
    return [
      box.x + ((x - this.x[0]) / (this.x[1] - this.x[0])) * box.width,
      box.y + (1 - (tall - this.y[0]) / (this.y[1] - this.y[0])) * box.height,
    ];
  }

  toNumber(u, v) {
    const { box } = this;
    return [
      this.x[0] + ((u - box.x) / box.width) * (this.x[1] - this.x[0]),
      this.y[0] + (1 - (v - box.y) / box.height) * (this.y[1] - this.y[0]),
    ];
  }

  axes(nameX, nameY) {
    const { pen, box } = this;
    pen.strokeStyle = ink("line");
    pen.lineWidth = 1;
    pen.strokeRect(box.x, box.y, box.width, box.height);
    pen.fillStyle = ink("soft");
    pen.font = "12px system-ui";
    pen.textAlign = "center";
    for (const tick of ticks(...this.x))
      pen.fillText(number(tick, 3), this.toPixel(tick, 1)[0], box.y + box.height + 15);
    pen.textAlign = "right";
    const whole = this.logarithmic ? ticks(...this.y, 4).filter((tick) => Number.isInteger(tick)) : ticks(...this.y, 4);
    for (const tick of whole) {
      const value = this.logarithmic ? 10 ** tick : tick;
      pen.fillText(number(value, 3), box.x - 6, this.toPixel(this.x[0], value)[1] + 4);
    }
    pen.fillStyle = ink("ink");
    pen.font = "italic 600 14px system-ui";
    pen.textAlign = "center";
    pen.fillText(nameX, box.x + box.width / 2, box.y + box.height + 30);
    pen.fillText(nameY, 12, box.y + box.height / 2);
  }

  clip() {
    const { pen, box } = this;
    pen.beginPath();
    pen.rect(box.x, box.y, box.width, box.height);
    pen.clip();
  }

  line(points, { colour, dash = [], wide = 2 }) {
    const { pen } = this;
    pen.strokeStyle = colour;
    pen.lineWidth = wide;
    pen.setLineDash(dash);
    pen.beginPath();
    let drawing = false;
    for (const [x, y] of points) {
      if (!Number.isFinite(y) || (this.logarithmic && y <= 0)) drawing = false;
      else {
        pen[drawing ? "lineTo" : "moveTo"](...this.toPixel(x, y));
        drawing = true;
      }
    }
    pen.stroke();
    pen.setLineDash([]);
  }
}

const CURVES = {
  identity: (s) => s,
  sigmoid: (s) => 1 / (1 + Math.exp(-s)),
  tanh: Math.tanh,
};

// The samples, and the curve of each path at the step shown. Own points can be added, dragged and removed.
export class DataPlot {
  constructor(canvas, change) {
    Object.assign(this, { canvas, change, x: [], y: [], curves: [], editable: false, activation: "identity" });
    canvas.addEventListener("pointerdown", (event) => this.editable && this.grab(event));
    canvas.addEventListener("contextmenu", (event) => this.editable && this.remove(event));
  }

  show({ x, y, labels, activation }, editable) {
    Object.assign(this, { x: [...x], y: [...y], labels, activation, editable });
    this.draw();
  }

  draw() {
    if (!this.canvas.clientWidth || !this.x.length) return;
    const wide = (values, share) => {
      const [low, high] = [Math.min(...values), Math.max(...values)];
      const more = (high - low || 1) * share;
      return [low - more, high + more];
    };
    const frame = new Frame(this.canvas, this.range?.x ?? wide(this.x, 0.08), this.range?.y ?? wide(this.y, 0.12));
    this.frame = frame;
    const { pen } = frame;
    frame.axes("x", "y");
    pen.save();
    frame.clip();
    const size = this.x.length > 500 ? 1.5 : 3;
    pen.fillStyle = ink("dots");
    pen.globalAlpha = this.x.length > 500 ? 0.5 : 0.85;
    this.x.forEach((x, k) => {
      pen.beginPath();
      pen.arc(...frame.toPixel(x, this.y[k]), size, 0, 2 * Math.PI);
      pen.fill();
    });
    pen.globalAlpha = 1;
    const through = CURVES[this.activation] ?? CURVES.identity;
    for (const { rule, w, b } of this.curves) {
      const style = ruleStyle(rule);
      const points = Array.from({ length: 121 }, (_, k) => {
        const x = frame.x[0] + (k / 120) * (frame.x[1] - frame.x[0]);
        return [x, through(w * x + b)];
      });
      frame.line(points, { colour: "#000a", wide: 4 });
      frame.line(points, { colour: style.colour, dash: style.dash });
    }
    pen.restore();
  }

  nearest(event) {
    const area = this.canvas.getBoundingClientRect();
    const at = [event.clientX - area.left, event.clientY - area.top];
    let [best, least] = [-1, 100];
    this.x.forEach((x, k) => {
      const [u, v] = this.frame.toPixel(x, this.y[k]);
      const distance = (u - at[0]) ** 2 + (v - at[1]) ** 2;
      if (distance < least) [least, best] = [distance, k];
    });
    return [best, this.frame.toNumber(...at)];
  }

  // Two classes keep their two values of y.
  label(y) {
    if (this.labels === "real") return y;
    const two = this.labels === "-1, +1" ? [-1, 1] : [0, 1];
    return y > (two[0] + two[1]) / 2 ? two[1] : two[0];
  }

  grab(down) {
    if (down.button !== 0) return;
    let [index, [x, y]] = this.nearest(down);
    this.range = { x: this.frame.x, y: this.frame.y }; // the axes stand still while a point moves
    if (index < 0) {
      index = this.x.length;
      this.x.push(x);
      this.y.push(this.label(y));
      this.change(this.x, this.y);
    }
    this.canvas.setPointerCapture(down.pointerId);
    const move = (event) => {
      [, [x, y]] = this.nearest(event);
      this.x[index] = Math.min(Math.max(x, this.frame.x[0]), this.frame.x[1]);
      this.y[index] = this.label(Math.min(Math.max(y, this.frame.y[0]), this.frame.y[1]));
      this.draw();
      this.change(this.x, this.y);
    };
    const end = () => {
      this.range = null;
      this.canvas.removeEventListener("pointermove", move);
      this.draw();
    };
    this.canvas.addEventListener("pointermove", move);
    for (const kind of ["pointerup", "pointercancel"]) this.canvas.addEventListener(kind, end, { once: true });
  }

  remove(event) {
    event.preventDefault();
    const [index] = this.nearest(event);
    if (index < 0 || this.x.length === 1) return;
    this.x.splice(index, 1);
    this.y.splice(index, 1);
    this.change(this.x, this.y);
    this.draw();
  }
}

// The loss by step of every path, on a logarithmic axis.
export function drawLosses(canvas, paths, now) {
  if (!canvas.clientWidth) return;
  const finite = paths
    .flatMap((path) => path.points.map(([, , loss]) => loss))
    .filter((loss) => Number.isFinite(loss) && loss > 0);
  const steps = Math.max(1, ...paths.map((path) => path.points.length - 1));
  if (!finite.length) {
    new Frame(canvas, [0, 1], [0, 1]);
    return;
  }
  let [low, high] = finite.reduce(([a, b], v) => [Math.min(a, v), Math.max(b, v)], [Infinity, -Infinity]);
  high = Math.min(high, 1e6 * low); // a run that diverges leaves the picture, and does not squash the others
  const axis = [Math.floor(Math.log10(low) * 4) / 4 - 0.05, Math.ceil(Math.log10(high) * 4) / 4 + 0.05];
  const few = axis[1] - axis[0] < 1.2;
  const frame = few
    ? new Frame(canvas, [0, steps], [Math.max(0, low - 0.08 * (high - low)), high + 0.08 * (high - low || high)])
    : new Frame(canvas, [0, steps], axis, true);
  frame.axes("step", "L");
  frame.pen.save();
  frame.clip();
  for (const path of paths) {
    const points = path.points.map(([, , loss], step) => [step, loss]);
    const style = ruleStyle(path.rule);
    frame.line(points, { colour: "#000a", wide: 4 });
    frame.line(points, { colour: style.colour, dash: style.dash });
  }
  const [x] = frame.toPixel(now * steps, 1);
  frame.pen.strokeStyle = ink("soft");
  frame.pen.lineWidth = 1;
  frame.pen.beginPath();
  frame.pen.moveTo(x, frame.box.y);
  frame.pen.lineTo(x, frame.box.y + frame.box.height);
  frame.pen.stroke();
  frame.pen.restore();
}
