// The npm library @anthropic-ai/sdk against every kind of upstream.
import assert from "node:assert/strict";
import { test } from "node:test";
import Anthropic from "@anthropic-ai/sdk";
import { zodOutputFormat } from "@anthropic-ai/sdk/helpers/zod";
import { z } from "zod";
import { ANSWERED, ASKED_FOR, CALLS, KEY, NO_ARGUMENTS, PICTURE_SEEN, PNG, URL, WEATHER, eachUpstream } from "./asked.mjs";

const client = new Anthropic({ baseURL: URL, apiKey: KEY, maxRetries: 0 });
const TOOLS = [
  { name: "weather", description: "The weather in a city.", input_schema: WEATHER },
  { name: "clock", description: "The time.", input_schema: NO_ARGUMENTS },
];
const Trip = z.object({ city: z.string(), days: z.number().int(), stops: z.array(z.string()) });

const ask = (upstream, model, content, more = {}) => ({ model: `${upstream}/${model}`, max_tokens: 2048, messages: [{ role: "user", content }], ...more });
const textOf = (message) => message.content.filter((block) => block.type === "text").map((block) => block.text).join("");
const picture = { type: "image", source: { type: "base64", media_type: "image/png", data: PNG } };

eachUpstream("text, whole and streamed", async (upstream) => {
  const request = ask(upstream, "echo", "hello there, café ☕", { system: "Be brief." });
  const whole = await client.messages.create(request);
  assert.equal(whole.content[0].text, "hello there, café ☕");
  assert.equal(whole.stop_reason, "end_turn");
  const together = await client.messages.stream(request).finalMessage();
  assert.equal(textOf(together), "hello there, café ☕");
  assert.equal(together.usage.output_tokens, whole.usage.output_tokens);
});

for (const thinking of [undefined, { type: "enabled", budget_tokens: 1024 }]) {
  eachUpstream(`a loop of parallel tools, ${thinking ? "with" : "without"} thinking`, async (upstream) => {
    const request = ask(upstream, "tools", ASKED_FOR, { tools: TOOLS, thinking });
    for (const message of [await client.messages.create(request), await client.messages.stream(request).finalMessage()]) {
      const calls = message.content.filter((block) => block.type === "tool_use");
      assert.deepEqual(calls.map((call) => [call.name, call.input]), CALLS);
      const results = calls.map((call, at) => ({ type: "tool_result", tool_use_id: call.id, content: ["rain", "noon"][at] }));
      const messages = [...request.messages, { role: "assistant", content: message.content }, { role: "user", content: results }];
      assert.equal(textOf(await client.messages.create({ ...request, messages })), ANSWERED);
    }
  });
}

eachUpstream("thinking comes when it is asked for, and goes back", async (upstream) => {
  const request = ask(upstream, "think", "why", { thinking: { type: "enabled", budget_tokens: 1024 } });
  const message = await client.messages.stream(request).finalMessage();
  assert.match(message.content[0].thinking, /^This reasoning is made up\./);
  const messages = [...request.messages, { role: "assistant", content: message.content }, { role: "user", content: "and then" }];
  assert.match(textOf(await client.messages.create({ ...request, messages })), /and then$/);
  assert.equal((await client.messages.create(ask(upstream, "think", "why"))).content[0].type, "text");
});

eachUpstream("an answer of a form, a picture, a count, the list of models", async (upstream) => {
  const form = { output_config: { format: zodOutputFormat(Trip) } };
  const parsed = await client.messages.parse(ask(upstream, "json", "A trip to Rome for 4 days", form));
  assert.ok(Trip.parse(parsed.parsed_output));
  assert.match(textOf(await client.messages.create(ask(upstream, "vision", [{ type: "text", text: "What is it?" }, picture]))), PICTURE_SEEN);
  const { model, messages } = ask(upstream, "echo", "one two three");
  assert.ok((await client.messages.countTokens({ model, messages })).input_tokens >= 3);
  assert.equal((await client.models.retrieve(`${upstream}/echo`)).type, "model");
});

eachUpstream("errors are of their class", async (upstream) => {
  await assert.rejects(client.messages.create(ask(upstream, "no-such-model", "hi")), Anthropic.NotFoundError);
  await assert.rejects(client.messages.create({ ...ask(upstream, "echo", "hi"), messages: [{ role: "robot", content: "hi" }] }), Anthropic.BadRequestError);
  await assert.rejects(client.messages.create(ask(upstream, "faulty", "[[status=429]] hi")), Anthropic.RateLimitError);
  await assert.rejects(client.messages.stream(ask(upstream, "faulty", "[[error_after=3 delay_ms=40]] hi")).finalMessage(), Anthropic.APIError);
});

test("a wrong key", async () => {
  const stranger = new Anthropic({ baseURL: URL, apiKey: "sk-wrong", maxRetries: 0 });
  await assert.rejects(stranger.messages.create(ask("sandbox", "echo", "hi")), Anthropic.AuthenticationError);
});
