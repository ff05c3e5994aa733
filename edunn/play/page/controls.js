// The controls, built from what the server offers. Each one changes the state and says what kind of change it is.

import { ruleStyle } from "./palette.js";
import { number, text } from "./texts.js";

// Makes an element: make("p", { className: "x" }, "words", child).
export function make(tag, attributes = {}, ...children) {
  const element = Object.assign(document.createElement(tag), attributes);
  element.append(...children);
  return element;
}

function field(label, ...inputs) {
  inputs[0].setAttribute("aria-label", label);
  return make("label", { className: "field" }, make("span", { textContent: label }), ...inputs);
}

function choice(label, options, value, change) {
  const select = make(
    "select",
    {},
    ...options.map(([key, words]) => make("option", { value: key, textContent: words })),
  );
  select.value = value;
  select.addEventListener("change", () => change(select.value));
  return field(label, select);
}

// A slider on a logarithmic axis, with its number beside it.
function logSlider(label, value, low, high, change, whole = false) {
  const [from, to] = [Math.log10(low), Math.log10(high)];
  const slider = make("input", {
    type: "range",
    min: from,
    max: to,
    step: (to - from) / 400,
    value: Math.log10(value),
  });
  const shown = make("output", { textContent: number(value, 3) });
  slider.addEventListener("input", () => {
    const raw = 10 ** slider.value;
    const rounded = whole ? Math.round(raw) : Number(raw.toPrecision(3));
    shown.textContent = number(rounded, 7);
    slider.setAttribute("aria-valuetext", shown.textContent);
    change(rounded);
  });
  return field(label, slider, shown);
}

export function buildControls(form, about, state, change) {
  const set = (kind, values) => {
    Object.assign(state, values);
    change(kind);
  };
  const sources = [
    ["random", text("random")],
    ["points", text("points")],
  ];
  if (about.columns.length) sources.push(["file", text("file")]);
  const parts = [
    choice(
      text("problem"),
      about.problems.map((name) => [name, text(name)]),
      state.problem,
      (problem) => {
        const fits =
          problem === "linear"
            ? ["mse", "absolute-error", "huber"]
            : ["mse", "bce", "logistic", "hinge", "squared-hinge", "perceptron", "zero-one"];
        set("rebuild", {
          problem,
          w: null,
          b: null,
          activation: null,
          loss: fits.includes(state.loss) ? state.loss : "mse",
          data: state.data.source === "file" ? state.data : { ...state.data, source: "random" },
        });
      },
    ),
    choice(text("loss"), lossesOf(state.problem), state.loss, (loss) => set("rebuild", { loss, activation: null })),
  ];
  if (state.loss === "mse")
    parts.push(
      choice(
        text("activation"),
        [["", text("own")], ...about.activations.map((name) => [name, name])],
        state.activation ?? "",
        (name) => set("loss", { activation: name || null }),
      ),
    );
  parts.push(
    choice(text("source"), sources, state.data.source, (source) =>
      set("source", { data: source === "random" ? { source, samples: 100, seed: 0 } : { source } }),
    ),
  );
  if (state.data.source === "random") {
    parts.push(
      logSlider(
        text("samples"),
        state.data.samples,
        2,
        1e6,
        (samples) => set("data", { data: { ...state.data, samples } }),
        true,
      ),
    );
    const again = make("button", { type: "button", textContent: text("seed") });
    again.addEventListener("click", () => set("data", { data: { ...state.data, seed: (state.data.seed ?? 0) + 1 } }));
    parts.push(again);
  }
  if (state.data.source === "points") {
    const { x, y } = state.data;
    const area = make("textarea", {
      rows: 5,
      spellcheck: false,
      value: (x ?? []).map((value, k) => `${value}, ${y[k]}`).join("\n"),
    });
    area.addEventListener("change", () => {
      const found = readPairs(area.value);
      if (found.x.length) set("data", { data: { source: "points", ...found } });
    });
    parts.push(make("p", { className: "hint", textContent: text("pointsHint") }), field(text("paste"), area));
  }
  if (state.data.source === "file" && about.columns.length > 2)
    for (const side of ["x", "y"])
      parts.push(
        choice(
          text(side === "x" ? "columnX" : "columnY"),
          about.columns.map((name) => [name, name]),
          state.data[side] || about.chosen[side === "x" ? 0 : 1],
          (name) => set("data", { data: { ...state.data, [side]: name } }),
        ),
      );
  parts.push(
    choice(
      text("penalty"),
      about.penalties.map((name) => [name, name === "none" ? text("none") : name.toUpperCase()]),
      state.penalty,
      (penalty) => set("rebuild", { penalty }),
    ),
  );
  if (state.penalty !== "none")
    parts.push(logSlider(text("strength"), state.strength || 0.1, 1e-4, 100, (strength) => set("loss", { strength })));
  parts.push(
    choice(
      text("scale"),
      [
        ["linear", text("linearScale")],
        ["root", text("root")],
        ["log", text("log")],
      ],
      state.scale,
      (scale) => set("view", { scale }),
    ),
  );
  parts.push(
    choice(
      text("layer"),
      [
        ["", text("noLayer")],
        ["slopes", text("slopes")],
        ["basins", text("basins")],
      ],
      state.layer,
      (layer) => set("layer", { layer }),
    ),
    choice(text("second"), [["", text("nothing")], ...lossesOf(state.problem)], state.second, (second) =>
      set("second", { second }),
    ),
    buildWindow(state, set),
  );
  form.replaceChildren(...parts);
}

function lossesOf(problem) {
  const names =
    problem === "linear"
      ? ["mse", "absolute-error", "huber"]
      : ["mse", "bce", "logistic", "hinge", "squared-hinge", "perceptron", "zero-one"];
  const words = { mse: "squared error", bce: "cross-entropy" };
  return names.map((name) => [name, words[name] ?? name.replace("-", " ")]);
}

function buildWindow(state, set) {
  const box = make("fieldset", {}, make("legend", { textContent: text("window") }));
  for (const side of ["w", "b"]) {
    const ends = [0, 1].map((k) => {
      const input = make("input", { type: "number", step: "any", value: state[side]?.[k] ?? "", className: "end" });
      input.setAttribute("aria-label", `${side} ${k ? "high" : "low"}`);
      input.dataset.end = `${side}${k}`;
      input.addEventListener("change", () => {
        const both = ends.map((end) => Number(end.value || end.placeholder));
        if (both[0] < both[1]) set("window", { [side]: both });
      });
      return input;
    });
    box.append(make("div", { className: "ends" }, make("i", { textContent: side }), ends[0], "…", ends[1]));
  }
  const fit = make("button", { type: "button", textContent: text("fit") });
  fit.addEventListener("click", () => set("rebuild", { w: null, b: null }));
  box.append(fit);
  return box;
}

// Shows the window that the server chose.
export function showWindow(form, header) {
  for (const input of form.querySelectorAll("[data-end]"))
    input.placeholder = String(Number(header[input.dataset.end[0]][input.dataset.end[1]].toPrecision(4)));
}

// Returns the pairs of numbers in a text, a pair a line; what is no pair is passed over.
export function readPairs(words) {
  const [x, y] = [[], []];
  for (const line of words.split(/\r?\n/)) {
    const found = line
      .split(/[,;\t ]+/)
      .filter(Boolean)
      .map(Number);
    if (found.length >= 2 && found.slice(0, 2).every(Number.isFinite)) {
      x.push(found[0]);
      y.push(found[1]);
    }
  }
  return { x: x.slice(0, 20000), y: y.slice(0, 20000) };
}

// The rules: a box to take each one, its rate, and a mark where its largest stable rate lies.
export function buildRules(box, about, state, change) {
  const rows = about.rules.map((name) => {
    const style = ruleStyle(name);
    const on = name in state.rates;
    const check = make("input", { type: "checkbox", checked: on });
    const sample = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    sample.setAttribute("viewBox", "0 0 28 8");
    sample.setAttribute("aria-hidden", "true");
    for (const [colour, wide, dash] of [
      ["#0009", 5, ""],
      [style.colour, 2.5, style.dash.join(" ")],
    ]) {
      const line = document.createElementNS("http://www.w3.org/2000/svg", "line");
      for (const [key, value] of Object.entries({
        x1: 1,
        y1: 4,
        x2: 27,
        y2: 4,
        stroke: colour,
        "stroke-width": wide,
        "stroke-dasharray": dash,
      }))
        line.setAttribute(key, value);
      sample.append(line);
    }
    const label = make(
      "label",
      { className: "rule" },
      check,
      sample,
      make("span", { textContent: name.replace("-", " ") }),
    );
    check.addEventListener("change", () => {
      if (check.checked) state.rates = { ...state.rates, [name]: 0.1 };
      else if (Object.keys(state.rates).length > 1) delete state.rates[name];
      change("rules");
    });
    const row = make("div", { className: "rule-row" }, label);
    if (on) {
      const slider = make("input", {
        type: "range",
        min: -4,
        max: 2,
        step: 0.01,
        value: Math.log10(state.rates[name]),
      });
      slider.setAttribute("aria-label", `rate of ${name}`);
      const shown = make("output", { textContent: number(state.rates[name], 3) });
      slider.addEventListener("input", () => {
        state.rates[name] = Number((10 ** slider.value).toPrecision(3));
        shown.textContent = number(state.rates[name], 3);
        change("rates");
      });
      const track = make("span", { className: "track" }, slider, make("i", { className: "mark", hidden: true }));
      track.dataset.rule = name;
      row.append(track, shown);
    }
    row.append(make("small", { className: "ending" }));
    row.dataset.ending = name;
    return row;
  });
  const set = (values) => {
    Object.assign(state, values);
    change("rates");
  };
  const steps = logSlider(text("steps"), state.steps, 10, 5000, (count) => set({ steps: count }), true);
  const batch = make(
    "select",
    {},
    ...[
      ["", text("all")],
      ["1", text("single")],
      ["8", "8"],
      ["32", "32"],
    ].map(([key, words]) => make("option", { value: key, textContent: words })),
  );
  batch.value = state.batch ?? "";
  batch.addEventListener("change", () => set({ batch: batch.value ? Number(batch.value) : null }));
  const clear = make("button", { type: "button", textContent: text("clear") });
  clear.addEventListener("click", () => set({ starts: [] }));
  box.replaceChildren(...rows, make("div", { className: "race-options" }, steps, field(text("batch"), batch), clear));
}

// Marks each rule's largest stable rate on its slider.
export function markStable(box, rates) {
  for (const track of box.querySelectorAll("[data-rule]")) {
    const rate = rates?.[track.dataset.rule];
    const mark = track.querySelector(".mark");
    const place = rate ? (Math.log10(rate) + 4) / 6 : -1;
    mark.hidden = !(place > 0 && place < 1);
    mark.style.left = `calc(8px + ${place} * (100% - 16px))`;
    mark.title = rate ? text("stable", number(rate, 4)) : "";
    track.querySelector("input").title = mark.title;
  }
}
