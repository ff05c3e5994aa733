// The page: the state, the questions that a change of it asks, and the drawing of the answers.

import { buildControls, buildRules, make, markStable, showWindow } from "./controls.js";
import { Field } from "./field.js";
import { FlatMap, paintEnds } from "./map.js";
import { DataPlot, drawLosses } from "./plots.js";
import { Scene } from "./scene.js";
import { PRESETS, question, race, readAddress, START, writeAddress } from "./state.js";
import { choose, fillTexts, number, text } from "./texts.js";
import { ask, latest, Refusal } from "./wire.js";

const PREVIEW = 96; // grid points along an axis while something moves
const FINE = 256; // and when it is still
const REST = 150; // milliseconds without a change

const find = (id) => document.getElementById(id);
const { state, hidden, language } = readAddress();
const shown = { field: null, paths: [], about: null, now: 1 };
const asks = {
  surface: latest("surface"),
  data: latest("data"),
  paths: latest("paths"),
  second: latest("surface"),
  secondPaths: latest("paths"),
  slopes: latest("slopes"),
  basins: latest("basins"),
  readings: latest("readings"),
};

choose(language);
fillTexts();
for (const part of document.querySelectorAll("[data-part]")) part.hidden = hidden.includes(part.dataset.part);

const scene = new Scene(find("scene"), find("scene-over"));
const map = new FlatMap(find("map"), { start: addStart, hover: showHover });
const second = new FlatMap(find("second"), { start: addStart, hover: () => {} });
const dataPlot = new DataPlot(find("data"), (x, y) => {
  state.data = { source: "points", x: [...x], y: [...y] };
  changed("points");
});

function say(words) {
  find("status").textContent = words;
}

function complain(error) {
  if (!(error instanceof Refusal)) throw error;
  say(error.message);
  find("status").className = "refused";
}

// ---- what a change asks -----------------------------------------------------------------------------------------------

let resting = 0;
let turn = 0; // the number of the latest change

// kind: "view" draws again; "rates" runs the race again; the others ask for the surface as well.
function changed(kind) {
  if (kind === "source") useSource();
  if (["rebuild", "source"].includes(kind)) buildControls(find("controls"), shown.about, state, changed);
  if (["rules", "preset"].includes(kind)) buildRules(find("rules"), shown.about, state, changed);
  writeAddress(state);
  if (kind === "view") {
    if (shown.field) draw();
    return;
  }
  clearTimeout(resting);
  const mine = ++turn;
  document.body.setAttribute("aria-busy", "true");
  const done = () => mine === turn && document.body.setAttribute("aria-busy", "false");
  if (["rates", "rules", "layer", "second"].includes(kind)) {
    const layer = kind === "layer" || state.layer === "basins";
    const again = () => Promise.all([runRace(), askSecond(), layer && askLayer()]);
    resting = setTimeout(() => again().catch(complain).finally(done), 60);
    return;
  }
  if (kind !== "window") askData().catch(complain);
  askSurface(PREVIEW, false).catch(complain);
  resting = setTimeout(() => rest().catch(complain).finally(done), REST);
}

async function rest() {
  await askSurface(FINE, true);
  await Promise.all([runRace(), askReadings(), askLayer(), askSecond()]);
}

// The layer that was asked for over the map.
async function askLayer() {
  map.arrows = map.basins = null;
  if (state.layer === "slopes") {
    const answer = await asks.slopes({ state: question(state, FINE, true) });
    if (answer) map.arrows = answer.arrays[0];
  }
  if (state.layer === "basins") {
    const rate = state.rates["gradient-descent"] ?? Object.values(state.rates)[0];
    const answer = await asks.basins({ state: question(state, PREVIEW, false), rate, steps: state.steps });
    if (answer) map.basins = paintEnds(answer.arrays[0], PREVIEW, PREVIEW);
  }
  map.draw();
}

// Another loss on the same samples, in the same window.
async function askSecond() {
  find("secondHead").hidden = find("secondStack").hidden = !state.second;
  if (!state.second || !shown.field) return;
  const { w, b } = shown.field;
  const other = { ...question(state, FINE, true), loss: state.second, activation: null, w, b };
  const answer = await asks.second({ state: other });
  if (!answer) return;
  find("secondTitle").textContent = answer.header.title;
  second.show(new Field(answer.header, answer.arrays[0]), state.scale);
  second.paths = [];
  if (state.starts.length) {
    const run = await asks.secondPaths({ state: other, race: race(state) });
    if (run) second.paths = unpackPaths(run);
  }
  second.now = map.now;
  second.draw();
}

function useSource() {
  if (state.data.source !== "points" || state.data.x) return;
  state.data = {
    source: "points",
    x: dataPlot.x.map((v) => Number(v.toPrecision(4))),
    y: dataPlot.y.map((v) => Number(v.toPrecision(4))),
  };
}

async function askData() {
  const answer = await asks.data({ state: question(state, PREVIEW, false) });
  if (!answer) return;
  const [numbers] = answer.arrays;
  const count = answer.header.shown;
  dataPlot.show(
    { x: numbers.subarray(0, count), y: numbers.subarray(count), ...answer.header },
    state.data.source === "points",
  );
  find("dataTitle").textContent = `${answer.header.samples.toLocaleString("en")}`;
}

async function askSurface(size, exact) {
  const began = performance.now();
  const answer = await asks.surface({ state: question(state, size, exact) });
  if (!answer) return;
  const { header } = answer;
  shown.field = new Field(header, answer.arrays[0]);
  find("status").className = "";
  const quality = exact ? text("exact", number(header.error, 2)) : text("preview");
  const words = [`${header.method}, ${quality}, ${number(header.milliseconds, 2)} ms`];
  if (header.not_finite) words.push(text("notFinite", header.not_finite));
  say(words.join(" · "));
  find("title").textContent = header.title;
  showWindow(find("controls"), header);
  document.body.dataset.answer = `${size} ${Math.round(performance.now() - began)}`;
  draw();
}

async function askReadings() {
  const answer = await asks.readings({ state: question(state, FINE, true) });
  if (!answer) return;
  const { header } = answer;
  map.marks = header.minima
    .filter((m) => ["minimum", "saddle"].includes(m.kind))
    .map((m) => ({ w: m.w, b: m.b, kind: m.kind }));
  map.draw();
  const rows = header.minima
    .slice(0, 4)
    .map((m) => [
      text(m.kind) === m.kind ? m.kind : text(m.kind),
      `${number(m.loss)} at w ${number(m.w)}, b ${number(m.b)}`,
    ]);
  rows.push([text("convex"), header.convex === null ? text("unknown") : text(header.convex ? "yes" : "no")]);
  rows.push([text("plateau"), text("plateauValue", `${(100 * header.plateaus["1e-3"]).toFixed(1)} %`)]);
  rows.push([
    text("condition"),
    header.hint ? `${number(header.condition)}: ${header.hint}` : number(header.condition),
  ]);
  find("readings").replaceChildren(
    ...rows.flatMap(([name, value]) => [make("dt", { textContent: name }), make("dd", { textContent: value })]),
  );
  const low = header.minima[0] ?? shown.field?.header.lowest;
  if (low && Number.isFinite(low.w)) {
    const point = await ask("point", { state: question(state, FINE, true), at: [low.w, low.b] });
    markStable(find("rules"), point.header.stable_rates);
  }
}

async function runRace() {
  if (!state.starts.length) {
    shown.paths = [];
    showRace();
    return;
  }
  const answer = await asks.paths({ state: question(state, FINE, true), race: race(state) });
  if (!answer) return;
  shown.paths = unpackPaths(answer);
  showRace();
}

function unpackPaths({ header, arrays: [numbers] }) {
  const [count, length] = header.shape;
  return Array.from({ length: count }, (_, k) => ({
    rule: header.rules[Math.floor(k / header.starts)],
    ending: header.endings[k],
    points: Array.from({ length }, (_, s) => numbers.subarray(3 * (k * length + s), 3 * (k * length + s) + 3)),
  }));
}

// ---- what is drawn ----------------------------------------------------------------------------------------------------

function draw() {
  scene.show(shown.field, state.scale);
  map.show(shown.field, state.scale);
  describe();
}

function showRace() {
  map.paths = shown.paths;
  for (const row of document.querySelectorAll("[data-ending]")) {
    const own = shown.paths.filter((path) => path.rule === row.dataset.ending);
    row.querySelector(".ending").textContent = own.map((path) => path.ending).join("; ");
  }
  showTime();
}

function showTime() {
  const share = Number(find("time").value) / 1000;
  map.now = second.now = share;
  const steps = Math.round(share * state.steps);
  find("step").textContent = text("step", steps);
  const cut = shown.paths.map((path) => ({
    ...path,
    points: path.points.slice(0, Math.round(share * (path.points.length - 1)) + 1),
  }));
  scene.showPaths(cut);
  map.draw();
  if (state.second) second.draw();
  dataPlot.curves = cut.map((path) => ({ rule: path.rule, w: path.points.at(-1)[0], b: path.points.at(-1)[1] }));
  dataPlot.draw();
  drawLosses(find("loss"), shown.paths, share);
}

// A sentence for those who do not see the canvases.
function describe() {
  const { header } = shown.field;
  const low = header.lowest;
  const words = `${header.title}; w ${number(header.w[0])} to ${number(header.w[1])}, b ${number(header.b[0])} to ${number(header.b[1])}; ${text("lowest")}: ${low ? text("atPoint", number(low.w), number(low.b), number(low.loss)) : "–"}`;
  for (const id of ["scene", "map"]) find(id).setAttribute("aria-label", words);
}

function addStart([w, b]) {
  state.starts = [...state.starts, [Number(w.toPrecision(4)), Number(b.toPrecision(4))]].slice(-8);
  find("time").value = 0;
  changed("rates");
  play();
}

function showHover(at, step) {
  if (!at) find("hover").textContent = "";
  else if (step)
    find("hover").textContent =
      `${step.rule}, ${text("step", step.step)}: ${text("atPoint", number(step.w), number(step.b), number(step.loss))}`;
  else find("hover").textContent = text("atPoint", number(at[0]), number(at[1]), number(shown.field.at(...at)));
}

let playing = 0;

function play() {
  cancelAnimationFrame(playing);
  const time = find("time");
  if (matchMedia("(prefers-reduced-motion: reduce)").matches) {
    time.value = 1000;
    showTime();
    return;
  }
  if (Number(time.value) >= 1000) time.value = 0;
  let last = performance.now();
  const frame = (now) => {
    time.value = Number(time.value) + (now - last) / 4; // four seconds for all steps
    last = now;
    showTime();
    if (Number(time.value) < 1000) playing = requestAnimationFrame(frame);
  };
  playing = requestAnimationFrame(frame);
}

// ---- the start --------------------------------------------------------------------------------------------------------

find("time").addEventListener("input", () => {
  cancelAnimationFrame(playing);
  showTime();
});
find("run").addEventListener("click", play);
find("theme").addEventListener("click", () => {
  const dark = getComputedStyle(document.documentElement).colorScheme.includes("dark");
  document.documentElement.dataset.theme = dark ? "light" : "dark";
  if (shown.field) draw();
  showTime();
});
find("share").addEventListener("click", async () => {
  try {
    const answer = await ask("snippet", {
      state: question(state, FINE, true),
      race: state.starts.length ? race(state) : null,
    });
    find("snippet").textContent = answer.header.python;
    find("code").showModal();
  } catch (error) {
    complain(error);
  }
});
// Hands a file to the browser's downloads.
function download(name, content) {
  const link = make("a", { href: URL.createObjectURL(content), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

find("npz").addEventListener("click", async () => {
  try {
    const { header } = await ask("file", { state: question(state, FINE, true) });
    download(header.name, new Blob([Uint8Array.from(atob(header.base64), (c) => c.charCodeAt(0))]));
  } catch (error) {
    complain(error);
  }
});
find("png").addEventListener("click", () => {
  const both = document.createElement("canvas");
  Object.assign(both, { width: find("scene").width, height: find("scene").height });
  const pen = both.getContext("2d");
  pen.fillStyle = getComputedStyle(document.querySelector(".scene")).backgroundColor;
  pen.fillRect(0, 0, both.width, both.height);
  for (const id of ["scene", "scene-over"]) pen.drawImage(find(id), 0, 0);
  both.toBlob((content) => download("surface.png", content));
});
find("copy").addEventListener("click", () => navigator.clipboard?.writeText(find("snippet").textContent));
find("close").addEventListener("click", () => find("code").close());
find("preset").append(
  make("option", { value: "", textContent: "–" }),
  ...Object.entries(PRESETS).map(([key, { name }]) => make("option", { value: key, textContent: name })),
);
find("preset").addEventListener("change", () => usePreset(find("preset").value));

function usePreset(key) {
  if (!PRESETS[key]) return;
  Object.assign(state, structuredClone(START), structuredClone(PRESETS[key].state), { preset: key });
  find("story").textContent = PRESETS[key].story;
  find("time").value = 1000;
  buildControls(find("controls"), shown.about, state, changed);
  changed("preset");
}

new ResizeObserver(() => {
  if (!shown.field) return;
  scene.draw();
  map.draw();
  showTime();
}).observe(document.querySelector("main"));

async function start() {
  shown.about = (await ask("about")).header;
  buildControls(find("controls"), shown.about, state, changed);
  buildRules(find("rules"), shown.about, state, changed);
  if (state.preset && PRESETS[state.preset]) {
    find("preset").value = state.preset;
    find("story").textContent = PRESETS[state.preset].story;
  } else if (!location.hash.includes("state=")) {
    find("preset").value = "plateau";
    usePreset("plateau");
    return;
  }
  changed("start");
}

start().catch(complain);
