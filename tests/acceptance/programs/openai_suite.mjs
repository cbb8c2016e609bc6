// The npm library openai, over Chat Completions and over Responses, against every kind of upstream.
import assert from "node:assert/strict";
import OpenAI from "openai";
import { zodResponseFormat, zodTextFormat } from "openai/helpers/zod";
import { z } from "zod";
import { ANSWERED, ASKED_FOR, CALLS, KEY, NO_ARGUMENTS, PICTURE_SEEN, PNG, URL, WEATHER, collected, eachUpstream } from "./asked.mjs";

const client = new OpenAI({ baseURL: `${URL}/v1`, apiKey: KEY, maxRetries: 0 });
const FUNCTIONS = [
  { name: "weather", description: "The weather in a city.", parameters: WEATHER, strict: true },
  { name: "clock", description: "The time.", parameters: NO_ARGUMENTS, strict: true },
];
const CHAT_TOOLS = FUNCTIONS.map((one) => ({ type: "function", function: one }));
const TOOLS = FUNCTIONS.map((one) => ({ type: "function", ...one }));
// An integer of zod's has bounds, to which Anthropic's models do not keep by themselves.
const Trip = z.object({ city: z.string(), days: z.number(), stops: z.array(z.string()) });
const BoundedTrip = Trip.extend({ days: z.number().int() });

const ask = (upstream, model, content, more = {}) => ({ model: `${upstream}/${model}`, messages: [{ role: "user", content }], ...more });

eachUpstream("chat: text, whole and streamed", async (upstream) => {
  const request = ask(upstream, "echo", "hello there, café ☕");
  const whole = await client.chat.completions.create(request);
  assert.equal(whole.choices[0].message.content, "hello there, café ☕");
  assert.equal(whole.usage.total_tokens, 8);
  const together = await client.chat.completions.stream({ ...request, stream_options: { include_usage: true } }).finalChatCompletion();
  assert.equal(together.choices[0].message.content, "hello there, café ☕");
  assert.deepEqual(together.usage, whole.usage);
});

eachUpstream("chat: a loop of parallel tools", async (upstream) => {
  const request = ask(upstream, "tools", ASKED_FOR, { tools: CHAT_TOOLS });
  const whole = (await client.chat.completions.create(request)).choices[0].message;
  const together = (await client.chat.completions.stream(request).finalChatCompletion()).choices[0].message;
  for (const message of [whole, together]) {
    assert.deepEqual(message.tool_calls.map((call) => [call.function.name, JSON.parse(call.function.arguments)]), CALLS);
    const results = message.tool_calls.map((call, at) => ({ role: "tool", tool_call_id: call.id, content: ["rain", "noon"][at] }));
    const messages = [...request.messages, message, ...results];
    assert.equal((await client.chat.completions.create({ ...request, messages })).choices[0].message.content, ANSWERED);
  }
});

eachUpstream("chat: the library runs the loop itself", async (upstream) => {
  const tools = FUNCTIONS.map((one) => ({ type: "function", function: { ...one, parse: JSON.parse, function: () => (one.name === "clock" ? "noon" : "rain") } }));
  const runner = client.chat.completions.runTools(ask(upstream, "tools", ASKED_FOR, { tools }));
  assert.equal(await runner.finalContent(), ANSWERED);
});

eachUpstream("chat: an answer of a form, a picture, reasoning", async (upstream) => {
  for (const [model, form] of [["json", Trip], ["tools", BoundedTrip]]) {
    const wanted = { response_format: zodResponseFormat(form, "trip") };
    const parsed = await client.chat.completions.parse(ask(upstream, model, "A trip to Rome for 4 days", wanted));
    assert.ok(form.parse(parsed.choices[0].message.parsed));
  }
  const picture = [{ type: "text", text: "What is it?" }, { type: "image_url", image_url: { url: `data:image/png;base64,${PNG}` } }];
  const seen = await client.chat.completions.create(ask(upstream, "vision", picture));
  assert.match(seen.choices[0].message.content, PICTURE_SEEN);
  const thought = await client.chat.completions.create(ask(upstream, "think", "why", { reasoning_effort: "low" }));
  assert.match(thought.choices[0].message.reasoning_content, /^This reasoning is made up\./);
  assert.ok(thought.usage.completion_tokens_details.reasoning_tokens > 0);
});

eachUpstream("chat: errors are of their class", async (upstream) => {
  await assert.rejects(client.chat.completions.create(ask(upstream, "no-such-model", "hi")), OpenAI.NotFoundError);
  await assert.rejects(client.chat.completions.create(ask(upstream, "echo", "hi", { n: 0 })), OpenAI.BadRequestError);
  await assert.rejects(client.chat.completions.create(ask(upstream, "faulty", "[[status=429]] hi")), OpenAI.RateLimitError);
  const broken = await client.chat.completions.create(ask(upstream, "faulty", "[[error_after=3 delay_ms=40]] hi", { stream: true }));
  await assert.rejects(collected(broken), OpenAI.APIError);
});

eachUpstream("responses: text, whole and streamed", async (upstream) => {
  const request = { model: `${upstream}/echo`, input: "hello there", instructions: "Be brief." };
  const whole = await client.responses.create(request);
  assert.equal(whole.output_text, "hello there");
  const together = await client.responses.stream(request).finalResponse();
  assert.equal(together.output_text, "hello there");
  assert.deepEqual(together.usage, whole.usage);
});

eachUpstream("responses: a loop of parallel tools with reasoning, carried by the client", async (upstream) => {
  const request = { model: `${upstream}/tools`, tools: TOOLS, store: false, include: ["reasoning.encrypted_content"], reasoning: { effort: "low", summary: "auto" } };
  const input = [{ role: "user", content: ASKED_FOR }];
  // Not what the library puts together, which has fields of its own that OpenAI refuses.
  const response = (await collected(await client.responses.create({ ...request, input, stream: true }))).at(-1).response;
  const calls = response.output.filter((item) => item.type === "function_call");
  assert.deepEqual(calls.map((call) => [call.name, JSON.parse(call.arguments)]), CALLS);
  const results = calls.map((call, at) => ({ type: "function_call_output", call_id: call.call_id, output: ["rain", "noon"][at] }));
  assert.equal((await client.responses.create({ ...request, input: [...input, ...response.output, ...results] })).output_text, ANSWERED);
});

eachUpstream("responses: kept by the server", async (upstream) => {
  const first = await client.responses.create({ model: `${upstream}/tools`, tools: TOOLS, input: ASKED_FOR });
  const results = first.output.filter((item) => item.type === "function_call").map((call, at) => ({ type: "function_call_output", call_id: call.call_id, output: ["rain", "noon"][at] }));
  const second = await client.responses.create({ model: `${upstream}/tools`, tools: TOOLS, previous_response_id: first.id, input: results });
  assert.equal(second.output_text, ANSWERED);
  assert.equal((await client.responses.retrieve(second.id)).output_text, ANSWERED);
});

eachUpstream("responses: an answer of a form, a picture, errors", async (upstream) => {
  for (const [model, form] of [["json", Trip], ["tools", BoundedTrip]]) {
    const wanted = { text: { format: zodTextFormat(form, "trip") } };
    const parsed = await client.responses.parse({ model: `${upstream}/${model}`, input: "A trip to Rome for 4 days", ...wanted });
    assert.ok(form.parse(parsed.output_parsed));
  }
  const content = [{ type: "input_text", text: "What is it?" }, { type: "input_image", detail: "auto", image_url: `data:image/png;base64,${PNG}` }];
  assert.match((await client.responses.create({ model: `${upstream}/vision`, input: [{ role: "user", content }] })).output_text, PICTURE_SEEN);
  await assert.rejects(client.responses.create({ model: `${upstream}/no-such-model`, input: "hi" }), OpenAI.NotFoundError);
  const events = await collected(await client.responses.create({ model: `${upstream}/faulty`, input: "[[error_after=3 delay_ms=40]] hi", stream: true }));
  assert.equal(events.at(-1).type, "response.failed");
});
