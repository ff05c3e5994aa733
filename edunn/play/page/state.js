// The page's state: one object, kept in the address, so that a reload, a second tab and a shared address show the same.

export const START = {
  data: { source: "random", samples: 100, seed: 0 },
  problem: "binary",
  loss: "mse",
  activation: null,
  penalty: "none",
  strength: 0.1,
  w: null,
  b: null,
  scale: "root",
  layer: "",
  second: "",
  rates: { "gradient-descent": 0.5, momentum: 0.1, adam: 0.1 },
  starts: [],
  steps: 300,
  batch: null,
  seed: 0,
  preset: "",
};

// Two starts in a wide window, one of them far from the minimum.
const FAR = {
  problem: "binary",
  w: [-20, 20],
  b: [-20, 20],
  starts: [
    [-12, -12],
    [4, -8],
  ],
  rates: { "gradient-descent": 0.5, momentum: 0.5, adam: 0.3 },
};

// Presets: the lectures' cases, a sentence each.
export const PRESETS = {
  plateau: {
    name: "The plateau",
    story:
      "Squared error through a sigmoid is flat far from the minimum: a start out there hardly moves. Cross-entropy has no such plateau.",
    state: { ...FAR, loss: "mse" },
  },
  bowl: {
    name: "The same with cross-entropy",
    story: "Cross-entropy of the same samples is convex: every start falls into one bowl.",
    state: { ...FAR, loss: "bce" },
  },
  separable: {
    name: "Separable samples",
    story:
      "A threshold separates the two classes, so the loss falls for ever: the weight grows without end. A penalty holds it.",
    state: {
      problem: "binary",
      loss: "bce",
      w: [-2, 30],
      b: [-16, 16],
      scale: "log",
      data: { source: "points", x: [-2, -1.6, -1.1, -0.7, 0.4, 0.8, 1.3, 1.9], y: [0, 0, 0, 0, 1, 1, 1, 1] },
      starts: [[0, 0]],
      steps: 1000,
      rates: { "gradient-descent": 2, adam: 0.3 },
    },
  },
  outlier: {
    name: "An outlier",
    story: "One far target pulls the line of squared error; the absolute error hardly notices. Drag the point and see.",
    state: {
      problem: "linear",
      loss: "mse",
      scale: "root",
      data: {
        source: "points",
        x: [-2, -1.5, -1, -0.5, 0, 0.5, 1, 1.5, 2],
        y: [-2.9, -2.1, -1.0, 0.1, 0.9, 2.0, 3.1, 3.9, -9],
      },
      starts: [[-3, 3]],
      rates: { "gradient-descent": 0.1 },
    },
  },
  diverges: {
    name: "Too large a rate",
    story: "Above 2/λmax every step lands farther from the minimum than the last. The mark on the slider is that rate.",
    state: {
      problem: "linear",
      loss: "mse",
      w: [-8, 12],
      b: [-9, 11],
      starts: [[-2, 6]],
      steps: 40,
      rates: { "gradient-descent": 1.04 },
    },
  },
};

const KEPT = Object.keys(START);

// Returns the state that the address holds; the page's own where it holds none or nonsense.
export function readAddress() {
  const given = new URLSearchParams(location.hash.slice(1));
  const state = structuredClone(START);
  if (given.get("data") === "file") state.data = { source: "file", x: "", y: "" };
  try {
    const found = JSON.parse(given.get("state") ?? "{}");
    for (const key of KEPT) if (key in found) state[key] = found[key];
  } catch {
    // an address edited by hand: the server checks what is left, and says what is wrong
  }
  return { state, hidden: (given.get("hide") ?? "").split(",").filter(Boolean), language: given.get("lang") ?? "en" };
}

// Writes what differs from the page's own state into the address.
export function writeAddress(state) {
  const given = new URLSearchParams(location.hash.slice(1));
  const changed = Object.fromEntries(
    KEPT.filter((key) => JSON.stringify(state[key]) !== JSON.stringify(START[key])).map((key) => [key, state[key]]),
  );
  given.delete("data");
  given.delete("state");
  if (Object.keys(changed).length) given.set("state", JSON.stringify(changed));
  history.replaceState(null, "", given.size ? `#${given}` : location.pathname + location.search);
}

// The part of the state that the server's question is made of.
export function question(state, size, exact) {
  const { data, problem, loss, activation, penalty, strength, w, b } = state;
  return { data, problem, loss, activation, penalty, strength, w, b, size, exact };
}

export function race(state) {
  return { rules: state.rates, starts: state.starts, steps: state.steps, batch_size: state.batch, seed: state.seed };
}
