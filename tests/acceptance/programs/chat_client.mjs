// The same as chat_client.py with the npm library: node chat_client.mjs MODEL, run where node_modules holds it.
import OpenAI from "openai";

const model = process.argv[2];
const client = new OpenAI({ baseURL: process.env.TRUNKLINE_URL + "/v1", apiKey: process.env.TRUNKLINE_KEY });
const messages = [{ role: "user", content: "Say hello." }];
const parameters = { type: "object", properties: { location: { type: "string" } }, required: ["location"] };
const tools = [{ type: "function", function: { name: "get_weather", description: "The weather in a city.", parameters } }];

const whole = await client.chat.completions.create({ model, messages, max_tokens: 40 });
const called = await client.chat.completions.create({ model, messages, max_tokens: 40, tools });
const chunks = [];
for await (const chunk of await client.chat.completions.create({ model, messages, max_tokens: 40, stream: true })) {
  chunks.push(chunk);
}
const call = called.choices[0].message.tool_calls[0];
console.log(JSON.stringify({
  text: whole.choices[0].message.content,
  finish: whole.choices[0].finish_reason,
  usage: [whole.usage.prompt_tokens, whole.usage.completion_tokens, whole.usage.total_tokens],
  tool: [call.function.name, JSON.parse(call.function.arguments), called.choices[0].finish_reason],
  streamed_text: chunks.map((chunk) => chunk.choices[0].delta.content ?? "").join(""),
  streamed_finish: chunks.at(-1).choices[0].finish_reason,
  streamed_usage: chunks.at(-1).usage.completion_tokens,
}));
