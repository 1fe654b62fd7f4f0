// How an app uses the generated file; what must not compile is marked, and compiled with that mark.
import {
  type Context, type DayInput, DayInputError, type Event, type EventType, FEATURES, type FeatureName, type Reason,
  dayInput, featureVector, features,
} from "./features.js";

const recorded: Event[] = [{ timestamp: "2026-03-31T09:00:00Z", event_type: "task_done", value: 0.5, event_id: "a1" }];
const known: Context = { observed_since: "2026-01-15", progress: 0.25 };

export function rate(): number {
  const input: DayInput = dayInput(recorded, "2026-03-31T12:00:00Z", "Europe/Berlin", known);
  const model: Float32Array = featureVector(input);
  const name: FeatureName = "completion_rate";
  return model.length === Object.keys(FEATURES).length ? features(input)[name] : FEATURES[name].missing;
}

export function refusal(zone: string): Reason | null {
  try {
    dayInput([], "2026-03-31T12:00:00Z", zone);
    return null;
  } catch (error) {
    if (error instanceof DayInputError) return error.reason;
    throw error;
  }
}

// @ts-expect-error no such event type
export const type: EventType = "login";
// @ts-expect-error a typing error in a key
export const event: Event = { timestamp: "2026-03-31T09:00:00Z", event_type: "session", vlaue: 1 };
// @ts-expect-error no such entry
export const context: Context = { goal_begin: "2026-01-01" };
// @ts-expect-error no such feature
export const feature: FeatureName = "completion";
