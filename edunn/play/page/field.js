// A surface as the page holds it: the values on the grid, and how they are scaled for the eye.

export class Field {
  // header and values as the server sends them: values[i * columns + j] at (w_i, b_j).
  constructor(header, values) {
    Object.assign(this, { header, values });
    [this.rows, this.columns] = header.size;
    [this.w, this.b] = [header.w, header.b];
    this.low = header.range[0];
    this.high = header.range[1];
  }

  // Returns the height of a value in [0, 1] under a scale: "linear", "root" or "log".
  level(value, scale) {
    const span = this.high - this.low || 1;
    const t = Math.min(Math.max((value - this.low) / span, 0), 1);
    if (scale === "root") return Math.sqrt(t);
    if (scale === "log") return Math.log1p(1000 * t) / Math.log(1001);
    return t;
  }

  // Returns the value of a level: the inverse of `level`.
  valueAt(t, scale) {
    const span = this.high - this.low || 1;
    if (scale === "root") return this.low + span * t * t;
    if (scale === "log") return this.low + (span * Math.expm1(t * Math.log(1001))) / 1000;
    return this.low + span * t;
  }

  levels(scale) {
    return Float32Array.from(this.values, (value) => (Number.isFinite(value) ? this.level(value, scale) : NaN));
  }

  // Returns the value at a point inside the window, between the grid's values; NaN outside.
  at(w, b) {
    const x = ((w - this.w[0]) / (this.w[1] - this.w[0])) * (this.rows - 1);
    const y = ((b - this.b[0]) / (this.b[1] - this.b[0])) * (this.columns - 1);
    if (!(x >= 0 && y >= 0 && x <= this.rows - 1 && y <= this.columns - 1)) return NaN;
    const i = Math.min(Math.floor(x), this.rows - 2);
    const j = Math.min(Math.floor(y), this.columns - 2);
    const [u, v] = [x - i, y - j];
    const k = i * this.columns + j;
    const near = this.values[k] * (1 - v) + this.values[k + 1] * v;
    const far = this.values[k + this.columns] * (1 - v) + this.values[k + this.columns + 1] * v;
    return near * (1 - u) + far * u;
  }
}

// Returns about `count` round numbers between low and high.
export function ticks(low, high, count = 5) {
  const raw = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((k) => k * power).find((k) => k >= raw);
  const found = [];
  for (let k = Math.ceil(low / step - 1e-9); k * step <= high + 1e-9 * step; k++) found.push(k * step);
  return found;
}
