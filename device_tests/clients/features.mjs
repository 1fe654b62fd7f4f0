// docs/protocol/day-input.md: from the tensors to the features of feature_spec.json
import { cellAt, CHANNELS, CONTEXT, TYPES, WINDOW } from "./day-input.mjs";

const PAIRWISE = {
  add: (a, b) => a + b, sub: (a, b) => a - b, mul: (a, b) => a * b, div: (a, b) => (b === 0 ? 0 : a / b),
  min: Math.min, max: Math.max, less: (a, b) => (a < b ? 1 : 0),
  where: (condition, a, b) => (condition !== 0 ? a : b), log1p: (a) => Math.log1p(Math.max(a, 0)),
};
const OVER_DAYS = {
  sum_days: (days) => days.reduce((sum, day) => sum + day, 0), min_days: (days) => Math.min(...days),
};

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
  const values = operands.map((operand) => evaluate(operand, { daily, context }));
  if (operator in OVER_DAYS) return days(() => 0).fill(OVER_DAYS[operator](values[0]));
  return days((day) => PAIRWISE[operator](...values.map((value) => value[day])));
}

/** One number for each feature of the definitions. */
export const computeFeatures = (spec, tensors) => spec.features.map((feature) => {
  if (feature.known !== null && evaluate(feature.known, tensors)[0] === 0) return feature.missing;
  return Math.max(feature.low, Math.min(feature.high, evaluate(feature.expression, tensors)[0]));
});
