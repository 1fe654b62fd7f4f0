// node answer.mjs MODULE < vectors: what the generated module says to every input, one JSON document a line
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const { CHANNELS, DayInputError, EVENT_TYPES, dayInput, featureVector, features, FEATURE_NAMES } =
  await import(pathToFileURL(process.argv[2]).href);

function answer({ events, as_of: asOf, zone, context }) {
  try {
    const input = dayInput(events, asOf, zone, context), vector = [...featureVector(input)];
    const named = features(input);
    if (!FEATURE_NAMES.every((name, index) => named[name] === vector[index])) throw new Error("two answers");
    const cells = [...input.daily].flatMap((value, index) => {
      const row = Math.floor(index / CHANNELS.length);
      const where = [Math.floor(row / EVENT_TYPES.length), row % EVENT_TYPES.length, index % CHANNELS.length];
      return value === 0 ? [] : [[...where, value]];
    });
    return { cells, context: [...input.context], features: vector };
  } catch (error) {
    if (error instanceof DayInputError) return { reason: error.reason };
    throw error; // a bug, and no refusal
  }
}

for (const input of JSON.parse(readFileSync(0, "utf8"))) console.log(JSON.stringify(answer(input)));
