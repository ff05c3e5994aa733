// Colours: cividis for heights (legible to the colour-blind), Okabe and Ito's for the rules, with dashes beside them.

const CIVIDIS = [
  [0, 34, 78],
  [0, 46, 108],
  [30, 58, 111],
  [53, 69, 108],
  [71, 81, 108],
  [87, 93, 109],
  [102, 105, 112],
  [117, 117, 117],
  [132, 130, 121],
  [148, 142, 119],
  [165, 156, 116],
  [183, 169, 110],
  [200, 184, 102],
  [219, 199, 90],
  [238, 214, 73],
  [254, 232, 56],
];

// Returns the colour of t in [0, 1] as [r, g, b], each in 0 … 255.
export function height(t) {
  const x = Math.min(Math.max(t, 0), 1) * (CIVIDIS.length - 1);
  const low = Math.min(Math.floor(x), CIVIDIS.length - 2);
  return CIVIDIS[low].map((c, k) => c + (x - low) * (CIVIDIS[low + 1][k] - c));
}

export const RULES = {
  "gradient-descent": { colour: "#ffffff", dash: [] },
  momentum: { colour: "#e69f00", dash: [8, 4] },
  nesterov: { colour: "#56b4e9", dash: [2, 3] },
  adagrad: { colour: "#33d6a6", dash: [10, 3, 2, 3] },
  rmsprop: { colour: "#ff8fc4", dash: [5, 3] },
  adam: { colour: "#ff6f47", dash: [] },
  adamw: { colour: "#c3a6ff", dash: [3, 6] },
};

export function ruleStyle(name) {
  return RULES[name] ?? { colour: "#ffffff", dash: [] };
}

// A colour of the page's own style sheet, by the name of its variable.
export function ink(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}
