"""Calls a model with the openai library, any major, and prints what it got as JSON: chat_client.py MODEL."""

import json
import os
import sys

import openai

TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "get_weather",
            "description": "The weather in a city.",
            "parameters": {"type": "object", "properties": {"location": {"type": "string"}}, "required": ["location"]},
        },
    }
]


def main(model: str) -> None:
    client = openai.OpenAI(base_url=os.environ["TRUNKLINE_URL"] + "/v1", api_key=os.environ["TRUNKLINE_KEY"])
    asked = [{"role": "user", "content": "Say hello."}]
    whole = client.chat.completions.create(model=model, messages=asked, max_tokens=40)
    called = client.chat.completions.create(model=model, messages=asked, max_tokens=40, tools=TOOLS)
    chunks = list(client.chat.completions.create(model=model, messages=asked, max_tokens=40, stream=True))
    counted = list(
        client.chat.completions.create(
            model=model, messages=asked, max_tokens=40, stream=True, stream_options={"include_usage": True}
        )
    )
    tool_chunks = list(
        client.chat.completions.create(model=model, messages=asked, max_tokens=40, stream=True, tools=TOOLS)
    )
    deltas = [call for chunk in tool_chunks for call in chunk.choices[0].delta.tool_calls or []]
    call = called.choices[0].message.tool_calls[0]
    found = {
        "version": openai.__version__,
        "text": whole.choices[0].message.content,
        "finish": whole.choices[0].finish_reason,
        "usage": [whole.usage.prompt_tokens, whole.usage.completion_tokens, whole.usage.total_tokens],
        "tool": [call.function.name, json.loads(call.function.arguments), called.choices[0].finish_reason],
        "streamed_text": "".join(chunk.choices[0].delta.content or "" for chunk in chunks),
        "streamed_finish": chunks[-1].choices[0].finish_reason,
        "streamed_usage": chunks[-1].usage.completion_tokens,
        "choices_everywhere": all(chunk.choices for chunk in chunks),
        "counted_last": [len(counted[-1].choices), counted[-1].usage.completion_tokens],
        "streamed_tool": [
            "".join(delta.function.name or "" for delta in deltas),
            json.loads("".join(delta.function.arguments or "" for delta in deltas)),
            tool_chunks[-1].choices[0].finish_reason,
        ],
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1])
