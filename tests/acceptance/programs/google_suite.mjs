// The npm library @google/genai against every kind of upstream.
import assert from "node:assert/strict";
import { GoogleGenAI } from "@google/genai";
import { ASKED_FOR, CALLS, KEY, NO_ARGUMENTS, PICTURE_SEEN, PNG, URL, WEATHER, collected, eachUpstream } from "./asked.mjs";

const client = new GoogleGenAI({ apiKey: KEY, httpOptions: { baseUrl: URL } });
const tools = [{ functionDeclarations: [{ name: "weather", description: "The weather.", parametersJsonSchema: WEATHER }, { name: "clock", description: "The time.", parametersJsonSchema: NO_ARGUMENTS }] }];
const generate = (upstream, model, contents, config = {}) => client.models.generateContent({ model: `${upstream}/${model}`, contents, config });

eachUpstream("text, whole and streamed", async (upstream) => {
  const whole = await generate(upstream, "echo", "hello there, café ☕");
  assert.equal(whole.text, "hello there, café ☕");
  const chunks = await collected(await client.models.generateContentStream({ model: `${upstream}/echo`, contents: "hello there, café ☕" }));
  assert.equal(chunks.map((chunk) => chunk.text ?? "").join(""), "hello there, café ☕");
  assert.equal(chunks.at(-1).usageMetadata.totalTokenCount, whole.usageMetadata.totalTokenCount);
});

eachUpstream("a loop of parallel tools with thoughts", async (upstream) => {
  const config = { tools, thinkingConfig: { includeThoughts: true } };
  const contents = [{ role: "user", parts: [{ text: ASKED_FOR }] }];
  const response = await generate(upstream, "tools", contents, config);
  assert.deepEqual(response.functionCalls.map((call) => [call.name, call.args]), CALLS);
  const parts = response.functionCalls.map((call, at) => ({ functionResponse: { id: call.id, name: call.name, response: { output: ["rain", "noon"][at] } } }));
  const answer = await generate(upstream, "tools", [...contents, response.candidates[0].content, { role: "user", parts }], config);
  assert.match(answer.text, /rain.*noon/);
});

eachUpstream("a chat keeps its history", async (upstream) => {
  const chat = client.chats.create({ model: `${upstream}/think` });
  const first = await collected(await chat.sendMessageStream({ message: "why" }));
  assert.match(first.map((chunk) => chunk.text ?? "").join(""), /why$/);
  assert.match((await chat.sendMessage({ message: "and then" })).text, /and then$/);
  assert.equal(chat.getHistory(true).filter((content) => content.role === "user").length, 2);
});

eachUpstream("an answer of a form, a picture, a count, errors", async (upstream) => {
  const config = { responseMimeType: "application/json", responseJsonSchema: WEATHER };
  assert.deepEqual(Object.keys(JSON.parse((await generate(upstream, "tools", "Oslo 3", config)).text)), ["city", "days"]);
  const picture = { inlineData: { mimeType: "image/png", data: PNG } };
  assert.match((await generate(upstream, "vision", [{ text: "What is it?" }, picture])).text, PICTURE_SEEN);
  assert.ok((await client.models.countTokens({ model: `${upstream}/echo`, contents: "one two three" })).totalTokens >= 3);
  await assert.rejects(generate(upstream, "no-such-model", "hi"), { status: 404 });
  await assert.rejects(generate(upstream, "faulty", "[[status=429]] hi"), { status: 429 });
});
