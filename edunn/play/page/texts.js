// The page's words. A key stands for a text; the address chooses the language: …#lang=it.

const ENGLISH = {
  preset: "Try",
  share: "Python",
  theme: "Light or dark",
  surface: "Surface",
  map: "Map",
  mapHint: "click to start a race here",
  data: "Samples",
  lossByStep: "Loss by step",
  race: "Update rules",
  readings: "Readings",
  run: "Run the race",
  python: "The same numbers in Python",
  copy: "Copy",
  close: "Close",
  problem: "Problem",
  linear: "a line: y is a number",
  binary: "two classes: y is 0 or 1",
  source: "From",
  random: "random",
  points: "your points",
  file: "your file",
  samples: "Samples",
  seed: "Draw again",
  loss: "Loss",
  activation: "Score goes through",
  own: "the loss's own",
  penalty: "Penalty",
  none: "none",
  strength: "λ",
  scale: "Heights",
  linearScale: "as they are",
  root: "√",
  log: "log",
  window: "Window",
  layer: "Show",
  noLayer: "contours alone",
  slopes: "the gradient field",
  basins: "where descent ends",
  second: "Beside it",
  nothing: "nothing",
  fit: "Fit to the minimum",
  steps: "Steps",
  batch: "Samples a step",
  all: "all",
  single: "1",
  clear: "Clear starts",
  columnX: "x",
  columnY: "y",
  pointsHint: "Click the plot to add a point, drag to move it, right-click to remove it.",
  paste: "Or one point a line: x, y",
  minimum: "minimum",
  saddle: "saddle",
  runaway: "falls for ever",
  maximum: "maximum",
  convex: "Convex",
  yes: "yes",
  no: "no",
  unknown: "cannot be told",
  plateau: "Plateau",
  plateauValue: "{0} of the window is flat (gradient below 0.001)",
  condition: "Condition number",
  lowest: "Lowest here",
  preview: "preview",
  exact: "error {0}",
  computing: "computing …",
  notFinite: "{0} points are too large to show",
  stable: "stable up to {0}",
  step: "step {0}",
  atPoint: "w {0}, b {1}: loss {2}",
  noWebGL: "This browser has no WebGL 2: the map shows the same surface.",
};

const table = { en: ENGLISH };
let chosen = "en";

export function choose(language) {
  chosen = table[language] ? language : "en";
  document.documentElement.lang = chosen;
}

// Returns a text, with {0}, {1}, … replaced.
export function text(key, ...values) {
  const found = table[chosen][key] ?? ENGLISH[key] ?? key;
  return found.replace(/\{(\d)\}/g, (_, k) => values[k]);
}

export function fillTexts(root = document) {
  for (const element of root.querySelectorAll("[data-text]")) element.textContent = text(element.dataset.text);
  for (const element of root.querySelectorAll("[data-label]")) {
    element.setAttribute("aria-label", text(element.dataset.label));
    element.title = text(element.dataset.label);
  }
}

// A number as a person writes it: four digits, no trailing zeros.
export function number(value, digits = 4) {
  if (value === null || value === undefined) return "∞";
  if (!Number.isFinite(value)) return String(value);
  if (value === 0) return "0";
  const size = Math.abs(value);
  const form = size >= 1e5 || size < 1e-3 ? value.toExponential(digits - 1) : String(Number(value.toPrecision(digits)));
  return form
    .replace(/(\.\d*?)0+(?=e|$)/, "$1")
    .replace(/\.(?=e|$)/, "")
    .replace("e+", "e")
    .replace("-", "−");
}
