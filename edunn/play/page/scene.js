// The surface in three dimensions, by WebGL 2: a height field whose colour and contour lines come from the full texture.
//
// The mesh has at most 128 × 128 points; the fragment shader reads the level at its own place, so that colours and lines
// are as fine as the values. Axes, labels and paths are drawn on a 2-D canvas above: an animation never redraws the mesh.

import { ticks } from "./field.js";
import { height, ink, ruleStyle } from "./palette.js";
import { number, text } from "./texts.js";

const MESH = 128;
const TALL = 0.62; // the height of the box, over its width

const VERTEX = `#version 300 es
precision highp float; precision highp int;
uniform mat4 camera; uniform sampler2D levels; uniform vec2 size;
in vec2 place; out vec2 at;
float level(vec2 p) { vec2 g = p * (size - 1.0); ivec2 i = ivec2(clamp(g, vec2(0), size - 1.0)); return texelFetch(levels, i, 0).r; }
void main() {
  at = place;
  float z = level(place);
  gl_Position = camera * vec4(place.x - 0.5, place.y - 0.5, (isnan(z) ? 1.0 : z) * ${TALL}, 1.0);
}`;

const FRAGMENT = `#version 300 es
precision highp float; precision highp int;
uniform sampler2D levels; uniform sampler2D colours; uniform vec2 size; uniform float lines;
in vec2 at; out vec4 colour;
float texel(ivec2 i) { return texelFetch(levels, clamp(i, ivec2(0), ivec2(size) - 1), 0).r; }
float level(vec2 p) {
  vec2 g = p * (size - 1.0); ivec2 i = ivec2(floor(g)); vec2 f = g - vec2(i);
  return mix(mix(texel(i), texel(i + ivec2(1, 0)), f.x), mix(texel(i + ivec2(0, 1)), texel(i + ivec2(1, 1)), f.x), f.y);
}
void main() {
  float z = level(at);
  if (isnan(z)) discard;
  vec2 d = 1.0 / (size - 1.0);
  float dx = (level(at + vec2(d.x, 0)) - level(at - vec2(d.x, 0))) / (2.0 * d.x);
  float dy = (level(at + vec2(0, d.y)) - level(at - vec2(0, d.y))) / (2.0 * d.y);
  vec3 normal = normalize(vec3(-dx * ${TALL}, -dy * ${TALL}, 1.0));
  float light = 0.62 + 0.38 * max(dot(normal, normalize(vec3(-0.5, 0.4, 0.8))), 0.0);
  vec3 base = texture(colours, vec2(z, 0.5)).rgb * light;
  float wave = z * lines, wide = max(fwidth(wave), 1e-6);
  float line = 1.0 - smoothstep(0.0, 1.2 * wide, abs(fract(wave + 0.5) - 0.5));
  colour = vec4(mix(base, base * 0.55, line * 0.7 * step(wide, 0.35)), 1.0);
}`;

export class Scene {
  constructor(canvas, over) {
    Object.assign(this, { canvas, over, turn: -0.7, tilt: 0.95, field: null, paths: [] });
    this.gl = canvas.getContext("webgl2", { antialias: true, preserveDrawingBuffer: true });
    if (this.gl) this.prepare();
    canvas.addEventListener("pointerdown", (event) => this.grab(event));
    canvas.addEventListener("keydown", (event) => this.key(event));
    canvas.addEventListener("webglcontextlost", (event) => event.preventDefault());
    canvas.addEventListener("webglcontextrestored", () => {
      this.prepare();
      this.show(this.field, this.scale);
    });
  }

  prepare() {
    const gl = this.gl;
    const program = gl.createProgram();
    this.program = program;
    for (const [kind, source] of [
      [gl.VERTEX_SHADER, VERTEX],
      [gl.FRAGMENT_SHADER, FRAGMENT],
    ]) {
      const shader = gl.createShader(kind);
      gl.shaderSource(shader, source);
      gl.compileShader(shader);
      gl.attachShader(program, shader);
    }
    gl.linkProgram(program);
    if (!gl.getProgramParameter(program, gl.LINK_STATUS)) throw new Error(gl.getProgramInfoLog(program));
    gl.useProgram(program);
    const places = new Float32Array(MESH * MESH * 2);
    for (let i = 0; i < MESH * MESH; i++)
      places.set([(i % MESH) / (MESH - 1), Math.floor(i / MESH) / (MESH - 1)], 2 * i);
    const corners = new Uint32Array((MESH - 1) ** 2 * 6);
    let at = 0;
    for (let j = 0; j < MESH - 1; j++)
      for (let i = 0; i < MESH - 1; i++) {
        const k = j * MESH + i;
        corners.set([k, k + 1, k + MESH, k + 1, k + MESH + 1, k + MESH], at);
        at += 6;
      }
    gl.bindBuffer(gl.ARRAY_BUFFER, gl.createBuffer());
    gl.bufferData(gl.ARRAY_BUFFER, places, gl.STATIC_DRAW);
    gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, gl.createBuffer());
    gl.bufferData(gl.ELEMENT_ARRAY_BUFFER, corners, gl.STATIC_DRAW);
    this.count = corners.length;
    const place = gl.getAttribLocation(program, "place");
    gl.enableVertexAttribArray(place);
    gl.vertexAttribPointer(place, 2, gl.FLOAT, false, 0, 0);
    gl.enable(gl.DEPTH_TEST);
    const table = Uint8Array.from({ length: 256 * 4 }, (_, k) => (k % 4 === 3 ? 255 : height((k >> 2) / 255)[k % 4]));
    this.texture(1, gl.RGBA8, 256, 1, gl.RGBA, gl.UNSIGNED_BYTE, table, gl.LINEAR);
    gl.uniform1i(this.uniform("levels"), 0);
    gl.uniform1i(this.uniform("colours"), 1);
  }

  uniform(name) {
    return this.gl.getUniformLocation(this.program, name);
  }

  texture(unit, inside, width, tall, format, kind, values, filter) {
    const gl = this.gl;
    gl.activeTexture(gl.TEXTURE0 + unit);
    this.textures ??= [];
    this.textures[unit] ??= gl.createTexture();
    gl.bindTexture(gl.TEXTURE_2D, this.textures[unit]);
    gl.texImage2D(gl.TEXTURE_2D, 0, inside, width, tall, 0, format, kind, values);
    for (const side of [gl.TEXTURE_WRAP_S, gl.TEXTURE_WRAP_T]) gl.texParameteri(gl.TEXTURE_2D, side, gl.CLAMP_TO_EDGE);
    for (const way of [gl.TEXTURE_MIN_FILTER, gl.TEXTURE_MAG_FILTER]) gl.texParameteri(gl.TEXTURE_2D, way, filter);
  }

  // Shows a field under a scale.
  show(field, scale) {
    Object.assign(this, { field, scale });
    if (!this.gl || !field) return this.draw();
    // the texture's x is w: values lie by rows of w, so they are transposed
    const levels = field.levels(scale);
    const turned = new Float32Array(levels.length);
    for (let i = 0; i < field.rows; i++)
      for (let j = 0; j < field.columns; j++) turned[j * field.rows + i] = levels[i * field.columns + j];
    const gl = this.gl;
    this.texture(0, gl.R32F, field.rows, field.columns, gl.RED, gl.FLOAT, turned, gl.NEAREST);
    gl.uniform2f(this.uniform("size"), field.rows, field.columns);
    this.draw();
  }

  showPaths(paths) {
    this.paths = paths;
    this.drawOver();
  }

  draw() {
    const ratio = Math.min(devicePixelRatio || 1, 2);
    const { clientWidth: width, clientHeight: tall } = this.canvas;
    if (!width || !tall) return;
    for (const canvas of [this.canvas, this.over])
      Object.assign(canvas, { width: width * ratio, height: tall * ratio });
    this.ratio = ratio;
    this.camera = look(this.turn, this.tilt, width / tall);
    const gl = this.gl;
    if (gl && this.field) {
      gl.viewport(0, 0, this.canvas.width, this.canvas.height);
      gl.clearColor(0, 0, 0, 0);
      gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
      gl.uniformMatrix4fv(this.uniform("camera"), false, this.camera);
      gl.uniform1f(this.uniform("lines"), 16);
      gl.drawElements(gl.TRIANGLES, this.count, gl.UNSIGNED_INT, 0);
    }
    this.drawOver();
  }

  // Returns where a point of the box, each side 0 … 1, lies on the canvas, in CSS pixels.
  project(x, y, z) {
    const m = this.camera;
    const p = [x - 0.5, y - 0.5, z * TALL, 1];
    const [u, v, , w] = [0, 1, 2, 3].map((r) => p.reduce((sum, c, k) => sum + m[4 * k + r] * c, 0));
    return [((u / w + 1) / 2) * this.over.clientWidth, ((1 - v / w) / 2) * this.over.clientHeight];
  }

  drawOver() {
    const pen = this.over.getContext("2d");
    pen.setTransform(this.ratio ?? 1, 0, 0, this.ratio ?? 1, 0, 0);
    pen.clearRect(0, 0, this.over.width, this.over.height);
    if (!this.camera) return;
    if (!this.gl) {
      pen.fillStyle = ink("ink");
      pen.font = "14px system-ui";
      pen.fillText(text("noWebGL"), 16, 30);
      return;
    }
    if (!this.field) return;
    this.drawAxes(pen);
    for (const path of this.paths) this.drawPath(pen, path);
  }

  drawAxes(pen) {
    const { w, b } = this.field;
    pen.strokeStyle = pen.fillStyle = ink("soft");
    pen.lineWidth = 1;
    pen.font = "12px system-ui";
    pen.textAlign = "center";
    // the two edges of the floor that are nearest to the eye, and the upright one farthest to the left
    const front = Math.cos(this.turn) > 0 ? 0 : 1;
    const side = Math.sin(this.turn) > 0 ? 1 : 0;
    const corners = [
      [0, 0],
      [1, 0],
      [0, 1],
      [1, 1],
    ];
    const left = corners.map(([x, y]) => [this.project(x, y, 0)[0], x, y]).sort((p, q) => p[0] - q[0])[0];
    const edge = (from, to) => {
      pen.beginPath();
      pen.moveTo(...this.project(...from));
      pen.lineTo(...this.project(...to));
      pen.stroke();
    };
    edge([0, front, 0], [1, front, 0]);
    edge([side, 0, 0], [side, 1, 0]);
    edge([left[1], left[2], 0], [left[1], left[2], 1]);
    const out = (value) => value + (value ? 0.07 : -0.07);
    const label = (words, x, y, z, bold) => {
      pen.font = `${bold ? "italic 600 14px" : "12px"} system-ui`;
      pen.fillStyle = ink(bold ? "ink" : "soft");
      const [u, v] = this.project(x, y, z);
      pen.fillText(words, u, v + 4);
    };
    for (const tick of ticks(...w, 4)) label(number(tick, 3), (tick - w[0]) / (w[1] - w[0]), out(front), 0);
    for (const tick of ticks(...b, 4)) label(number(tick, 3), out(side), (tick - b[0]) / (b[1] - b[0]), 0);
    const far = (value) => value + (value ? 0.16 : -0.16);
    label("w", 0.5, far(front), 0, true);
    label("b", far(side), 0.5, 0, true);
    pen.textAlign = "right";
    for (let k = 0; k <= 4; k++) {
      const [u, v] = this.project(left[1], left[2], k / 4);
      pen.font = "12px system-ui";
      pen.fillStyle = ink("soft");
      pen.fillText(number(this.field.valueAt(k / 4, this.scale), 3), u - 8, v + 4);
    }
    const [u, v] = this.project(left[1], left[2], 1);
    pen.font = "italic 600 14px system-ui";
    pen.fillStyle = ink("ink");
    pen.fillText("L", u - 8, v - 14);
  }

  drawPath(pen, path) {
    const { w, b } = this.field;
    const style = ruleStyle(path.rule);
    pen.lineJoin = "round";
    const trace = () => {
      pen.beginPath();
      let drawing = false;
      for (const [x, y, loss] of path.points) {
        const [u, v] = [(x - w[0]) / (w[1] - w[0]), (y - b[0]) / (b[1] - b[0])];
        if (!(u >= 0 && u <= 1 && v >= 0 && v <= 1) || !Number.isFinite(loss)) {
          drawing = false;
          continue;
        }
        const at = this.project(u, v, this.field.level(loss, this.scale) + 0.004);
        if (drawing) pen.lineTo(...at);
        else pen.moveTo(...at);
        drawing = true;
      }
      pen.stroke();
    };
    pen.setLineDash([]);
    pen.strokeStyle = "#000c";
    pen.lineWidth = 4.5;
    trace();
    pen.setLineDash(style.dash);
    pen.strokeStyle = style.colour;
    pen.lineWidth = 2;
    trace();
    pen.setLineDash([]);
  }

  grab(down) {
    this.canvas.setPointerCapture(down.pointerId);
    const start = [this.turn, this.tilt];
    const move = (event) => {
      this.turn = start[0] - (event.clientX - down.clientX) / 150;
      this.tilt = Math.min(Math.max(start[1] - (event.clientY - down.clientY) / 200, 0.05), 1.5);
      this.draw();
    };
    const end = () => this.canvas.removeEventListener("pointermove", move);
    this.canvas.addEventListener("pointermove", move);
    for (const kind of ["pointerup", "pointercancel"]) this.canvas.addEventListener(kind, end, { once: true });
  }

  key(event) {
    const step = { ArrowLeft: [-0.1, 0], ArrowRight: [0.1, 0], ArrowUp: [0, -0.08], ArrowDown: [0, 0.08] }[event.key];
    if (!step) return;
    event.preventDefault();
    this.turn += step[0];
    this.tilt = Math.min(Math.max(this.tilt + step[1], 0.05), 1.5);
    this.draw();
  }
}

// Returns the camera's matrix, by columns: turned about the upright axis, tilted from above (0) to the side (π/2).
function look(turn, tilt, aspect) {
  const [ct, st, cp, sp] = [Math.cos(turn), Math.sin(turn), Math.cos(tilt), Math.sin(tilt)];
  // rows of the view: right, up, towards the eye
  const view = [
    [ct, st, 0, 0],
    [-st * cp, ct * cp, sp, -0.27 * sp],
    [st * sp, -ct * sp, cp, -2.5 - 0.27 * cp],
    [0, 0, 0, 1],
  ];
  const zoom = 2.75 * Math.min(1, aspect / 1.1);
  const [near, far] = [0.5, 6];
  const lens = [
    [zoom / aspect, 0, 0, 0],
    [0, zoom, 0, 0],
    [0, 0, (far + near) / (near - far), (2 * far * near) / (near - far)],
    [0, 0, -1, 0],
  ];
  const product = lens.map((row) =>
    [0, 1, 2, 3].map((k) => row.reduce((sum, value, i) => sum + value * view[i][k], 0)),
  );
  return Float32Array.from({ length: 16 }, (_, k) => product[k % 4][Math.floor(k / 4)]);
}
