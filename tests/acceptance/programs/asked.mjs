// What the suites in JavaScript ask; the same as asked.py.
import { test } from "node:test";

export const URL = process.env.TRUNKLINE_URL;
export const KEY = process.env.TRUNKLINE_KEY;
export const UPSTREAMS = ["sandbox", "sandbox-messages", "sandbox-responses", "sandbox-gemini"];

export const PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNkYAAAAAYAAjCB0C8AAAAASUVORK5CYII=";
export const PICTURE_SEEN = /PNG, 1 x 1 pixels/;
export const ASKED_FOR = "[[calls=2]] The weather in Oslo for 3 days, and the time.";
export const ANSWERED = "The tool answered: rain noon";
export const CALLS = [["weather", { city: "Oslo", days: 3 }], ["clock", {}]];

export const WEATHER = {
  type: "object",
  properties: { city: { type: "string" }, days: { type: "integer", minimum: 1, maximum: 9 } },
  required: ["city", "days"],
  additionalProperties: false,
};
export const NO_ARGUMENTS = { type: "object", properties: {}, additionalProperties: false };

export function eachUpstream(name, run) {
  for (const upstream of UPSTREAMS) test(`${name}: ${upstream}`, () => run(upstream));
}

export async function collected(stream) {
  const found = [];
  for await (const one of stream) found.push(one);
  return found;
}
