// Vercel's ai with its providers for OpenAI (both protocols), what is compatible with it, Anthropic and Google, against
// every kind of upstream.
import assert from "node:assert/strict";
import { test } from "node:test";
import { createAnthropic } from "@ai-sdk/anthropic";
import { createGoogle } from "@ai-sdk/google";
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { APICallError, Output, generateText, isStepCount, streamText, tool } from "ai";
import { z } from "zod";
import { ASKED_FOR, KEY, PICTURE_SEEN, PNG, UPSTREAMS, URL, collected } from "./asked.mjs";

const openai = createOpenAI({ baseURL: `${URL}/v1`, apiKey: KEY });
const compatible = createOpenAICompatible({ name: "trunkline", baseURL: `${URL}/v1`, apiKey: KEY, includeUsage: true, supportsStructuredOutputs: true });
const anthropic = createAnthropic({ baseURL: `${URL}/v1`, apiKey: KEY });
const google = createGoogle({ baseURL: `${URL}/v1beta`, apiKey: KEY });
const PROVIDERS = {
  responses: { model: (id) => openai.responses(id), thinking: { openai: { reasoningEffort: "low", reasoningSummary: "auto", forceReasoning: true } } },
  chat: { model: (id) => openai.chat(id), thinking: { openai: { reasoningEffort: "low", forceReasoning: true } } },
  compatible: { model: (id) => compatible(id), thinking: { trunkline: { reasoningEffort: "low" } } },
  messages: { model: (id) => anthropic(id), thinking: { anthropic: { thinking: { type: "enabled", budgetTokens: 1024 } } } },
  // It takes an id with a slash for a path.
  gemini: { model: (id) => google(`models/${id}`), thinking: { google: { thinkingConfig: { includeThoughts: true, thinkingLevel: "low" } } } },
};
globalThis.AI_SDK_LOG_WARNINGS = false;
const ANSWERED = /^The tool answered: .*rain.*noon/; // for Google's protocol the library puts results into objects
const Trip = z.object({ city: z.string(), days: z.number(), stops: z.array(z.string()) });

function each(name, run) {
  for (const [protocol, { model, thinking }] of Object.entries(PROVIDERS)) {
    for (const upstream of UPSTREAMS) {
      test(`${name}: ${protocol} to ${upstream}`, () => run((id) => model(`${upstream}/${id}`), { protocol, upstream, thinking }));
    }
  }
}

function tools(asked) {
  return {
    weather: tool({
      description: "The weather in a city.",
      inputSchema: z.object({ city: z.string(), days: z.number() }),
      execute: async (input) => (asked.push(input), "rain"),
    }),
    clock: tool({ description: "The time.", inputSchema: z.object({}), execute: async (input) => (asked.push(input), "noon") }),
  };
}

each("text, whole and streamed", async (model) => {
  const whole = await generateText({ model: model("echo"), prompt: "hello there, café ☕", maxRetries: 0 });
  assert.equal(whole.text, "hello there, café ☕");
  assert.equal(whole.finishReason, "stop");
  assert.equal(whole.usage.outputTokens, 4);
  const stream = streamText({ model: model("echo"), prompt: "hello there, café ☕", maxRetries: 0 });
  const pieces = await collected(stream.textStream);
  assert.equal(pieces.join(""), "hello there, café ☕");
  assert.ok(pieces.length > 1);
  assert.equal((await stream.usage).outputTokens, 4);
});

each("a loop of parallel tools, whole and streamed", async (model) => {
  const asked = [];
  const request = { model: model("tools"), prompt: ASKED_FOR, tools: tools(asked), stopWhen: isStepCount(3), maxRetries: 0 };
  const whole = await generateText(request);
  assert.match(whole.text, ANSWERED);
  assert.equal(whole.steps.length, 2);
  assert.deepEqual(asked, [{ city: "Oslo", days: 3 }, {}]);
  const stream = streamText(request);
  await collected(stream.stream);
  assert.match(await stream.text, ANSWERED);
});

each("a loop of tools with reasoning", async (model, { thinking }) => {
  const request = { model: model("tools"), prompt: ASKED_FOR, tools: tools([]), stopWhen: isStepCount(3), providerOptions: thinking, maxRetries: 0 };
  const stream = streamText(request);
  const parts = await collected(stream.stream);
  assert.deepEqual(parts.filter((part) => part.type === "error"), []);
  assert.match(await stream.text, ANSWERED);
  assert.match((await generateText(request)).text, ANSWERED);
});

each("reasoning goes back with the history", async (model, { protocol, thinking }) => {
  const messages = [{ role: "user", content: "why" }];
  const first = await generateText({ model: model("think"), messages, providerOptions: thinking, maxRetries: 0 });
  assert.match(first.text, /why$/);
  if (protocol !== "chat") assert.match(first.reasoningText, /^This reasoning is made up\./); // OpenAI's chat tells none
  messages.push(...first.response.messages, { role: "user", content: "and then" });
  assert.match((await generateText({ model: model("think"), messages, providerOptions: thinking, maxRetries: 0 })).text, /and then$/);
});

each("an answer of a form, whole and streamed", async (model, { protocol }) => {
  // The library asks for a form by a tool from models of Anthropic's that it does not know.
  const request = { model: model(protocol === "messages" ? "tools" : "json"), prompt: "A trip to Rome for 4 days", output: Output.object({ schema: Trip }), maxRetries: 0 };
  assert.ok(Trip.parse((await generateText(request)).output));
  const stream = streamText(request);
  await collected(stream.partialOutputStream);
  assert.ok(Trip.parse(await stream.output));
});

each("a picture", async (model) => {
  const content = [{ type: "text", text: "What is it?" }, { type: "file", mediaType: "image/png", data: PNG }];
  assert.match((await generateText({ model: model("vision"), messages: [{ role: "user", content }], maxRetries: 0 })).text, PICTURE_SEEN);
});

each("errors bear their status", async (model) => {
  const status = (code) => (error) => APICallError.isInstance(error) && error.statusCode === code;
  await assert.rejects(generateText({ model: model("no-such-model"), prompt: "hi", maxRetries: 0 }), status(404));
  await assert.rejects(generateText({ model: model("faulty"), prompt: "[[status=429]] hi", maxRetries: 0 }), status(429));
  const stream = streamText({ model: model("faulty"), prompt: "[[error_after=3 delay_ms=40]] hi", maxRetries: 0, onError: () => {} });
  const parts = await collected(stream.stream);
  assert.ok(parts.some((part) => part.type === "error" || part.finishReason === "error"), JSON.stringify(parts.at(-1)));
});
