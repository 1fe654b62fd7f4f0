// docs/protocol/features.md: from the tensors to the features of feature_spec.json
import { cellAt, CHANNELS, CONTEXT, TYPES, WINDOW } from "./day-input.mjs";

const PAIRWISE = {
  add: (a, b) => a + b, sub: (a, b) => a - b, mul: (a, b) => a * b, div: (a, b) => (b === 0 ? 0 : a / b),
  mod: (a, b) => (b === 0 ? 0 : a - b * Math.floor(a / b)), xlogx: (a) => (a > 0 ? a * Math.log(a) : 0),
  min: Math.min, max: Math.max, less: (a, b) => (a < b ? 1 : 0),
  where: (condition, a, b) => (condition !== 0 ? a : b), log1p: (a) => Math.log1p(Math.max(a, 0)),
};
const OVER_DAYS = {
  sum_days: (days) => days.reduce((sum, day) => sum + day, 0), min_days: (days) => Math.min(...days),
};

const DAY = ["day"], ENTRY = ["context", "days_observed"];
const known = (a) => ["less", -0.5, a], observed = ["where", known(ENTRY), ENTRY, WINDOW];
const seen = (n) => ["min", observed, n], sum = (a) => ["sum_days", a], negative = (a) => ["sub", 0, a];
const add = (a, b) => ["add", a, b], sub = (a, b) => ["sub", a, b], mul = (a, b) => ["mul", a, b];
const div = (a, b) => ["div", a, b], equals = (k, a) => sub(1, add(["less", a, k], ["less", k, a]));

/** What each surface operator is in core operators. */
const MEANINGS = {
  observed: () => observed, known, ratio: div, equals,
  clip: (low, high, a) => ["max", ["min", a, high], low],
  bucketize: (bounds, a) => bounds.map((bound) => sub(1, ["less", a, bound])).reduce(add),
  window: (n, a) => mul(a, ["less", DAY, n]),
  windowed_sum: (n, a) => sum(MEANINGS.window(n, a)),
  windowed_mean: (n, a) => div(MEANINGS.windowed_sum(n, a), seen(n)),
  recency: (a) => ["min_days", ["where", a, DAY, WINDOW]],
  streak: (a) => add(sub(["min_days", ["where", a, WINDOW, ["where", DAY, DAY, WINDOW]]], 1),
    sum(["where", a, ["less", DAY, 1], 0])),
  ewma: (h, a) => {
    const weights = mul(["decay", h], ["less", DAY, observed]);
    return div(sum(mul(a, weights)), sum(weights));
  },
  slope: (n, a) => {
    const away = mul(["less", DAY, seen(n)], sub(DAY, div(sub(seen(n), 1), 2)));
    return negative(div(sum(mul(away, a)), sum(mul(away, away))));
  },
  entropy: (a) => negative(sum(["xlogx", div(a, sum(a))])),
  regularity: (a) => {
    const on = (k) => sum(mul(a, equals(k, ["mod", DAY, 7])));
    const spread = [0, 1, 2, 3, 4, 5, 6].map((k) => ["xlogx", div(on(k), sum(a))]).reduce(add);
    return ["where", sum(a), add(1, div(spread, Math.log(7))), 0];
  },
  quantile: (q, n, a) => ["quantile_days", q, a, ["less", DAY, seen(n)]],
};

function quantile(share, values, mask) {
  const kept = values.filter((_, day) => mask[day] !== 0).sort((a, b) => a - b);
  if (kept.length === 0) return 0;
  const place = share * (kept.length - 1), below = Math.floor(place);
  return kept[below] + ((kept[below + 1] ?? kept[below]) - kept[below]) * (place - below);
}

/** The value of a tree, always as 90 days: a scalar is the same number 90 times. */
function evaluate(tree, { daily, context }) {
  const days = (value) => Array.from({ length: WINDOW }, (_, day) => value(day));
  if (typeof tree === "number") return days(() => tree);
  const [operator, ...operands] = tree;
  if (operator === "day") return days((day) => day);
  if (operator === "decay") return days((day) => 0.5 ** (day / operands[0]));
  if (operator === "context") return days(() => context[CONTEXT.indexOf(operands[0])]);
  if (operator === "daily") {
    const channel = CHANNELS.indexOf(operands[0]), weights = Object.entries(operands[1]);
    return days((day) => weights.reduce((sum, [type, weight]) =>
      sum + weight * daily[cellAt(day, TYPES.indexOf(type), channel)], 0));
  }
  if (operator in MEANINGS) return evaluate(MEANINGS[operator](...operands), { daily, context });
  const share = operator === "quantile_days" ? operands.shift() : null;
  const values = operands.map((operand) => evaluate(operand, { daily, context }));
  if (share !== null) return days(() => 0).fill(quantile(share, ...values));
  if (operator in OVER_DAYS) return days(() => 0).fill(OVER_DAYS[operator](values[0]));
  return days((day) => PAIRWISE[operator](...values.map((value) => value[day])));
}

const rounded = (value) => Math.round(value * 1e6) / 1e6 + 0; // no negative zero

/** The value of each tree for each user, to six decimals. */
export function computeFormulas({ trees, users }) {
  const tensors = users.map(({ cells, context }) => {
    const daily = new Array(cellAt(WINDOW, 0, 0)).fill(0);
    for (const [day, type, channel, value] of cells) daily[cellAt(day, type, channel)] = value;
    return { daily, context };
  });
  return { values: trees.map((tree) => tensors.map((one) => rounded(evaluate(tree, one)[0]))) };
}

/** One number for each feature of the definitions. */
export const computeFeatures = (spec, tensors) => spec.features.map((feature) => {
  if (feature.known !== null && evaluate(feature.known, tensors)[0] === 0) return feature.missing;
  return Math.max(feature.low, Math.min(feature.high, evaluate(feature.expression, tensors)[0]));
});
