"""How the tests of the sandbox ask it, and how they put a stream together again as a client would."""

from __future__ import annotations

from typing import Any

import msgspec

from trunkline.providers.sandbox.transport import SandboxTransport
from trunkline.providers.transport import Headers, Origin, Timers, UpstreamRequest

JSON = dict[str, Any]
LIMIT = 32 * 1024 * 1024


class Answered(msgspec.Struct):
    status: int
    headers: dict[bytes, bytes]
    body: bytes

    def json(self) -> JSON:
        found: JSON = msgspec.json.decode(self.body)
        return found

    def error(self) -> JSON:
        found: JSON = self.json()["error"]
        assert set(found) == {"message", "type", "param", "code"}
        return found

    def choice(self) -> JSON:
        assert self.status == 200, self.body
        found: JSON = self.json()["choices"][0]
        return found

    def text(self) -> str:
        return str(self.choice()["message"]["content"])


def chat(model: str, text: str, **more: Any) -> JSON:
    return {"model": model, "messages": [{"role": "user", "content": text}], **more}


def request(body: JSON | bytes, timers: Timers | None = None, headers: Headers | None = None) -> UpstreamRequest:
    return UpstreamRequest(
        origin=Origin("http", "sandbox.invalid", 80),
        target=b"/v1/chat/completions",
        headers=headers or [],
        body=body if isinstance(body, bytes) else msgspec.json.encode(body),
        timers=timers or Timers(),
        streaming=isinstance(body, dict) and body.get("stream") is True,
    )


async def ask(transport: SandboxTransport, body: JSON | bytes, headers: Headers | None = None) -> Answered:
    response = await transport.send(request(body, headers=headers))
    answered = Answered(response.status, dict(response.headers), await response.read(LIMIT))
    assert transport.live == 0
    return answered


def events(body: bytes) -> list[bytes]:
    """The data of each event, [DONE] included; every event is one line and ends with a blank one."""
    assert body.endswith(b"\n\n")
    found = body[:-2].split(b"\n\n")
    assert all(event.startswith(b"data: ") and b"\n" not in event for event in found)
    return [event.removeprefix(b"data: ") for event in found]


def chunks(body: bytes) -> list[JSON]:
    *found, done = events(body)
    assert done == b"[DONE]"
    return [msgspec.json.decode(each) for each in found]


def joined(stream: list[JSON]) -> JSON:
    """The whole answer that a stream with a usage chunk adds up to, ids left out."""
    *parts, last = stream
    assert last["choices"] == []
    assert all(part["usage"] is None for part in parts)
    assert len({(part["id"], part["created"], part["model"], part["system_fingerprint"]) for part in stream}) == 1
    choices: dict[int, JSON] = {}
    for part in parts:
        (each,) = part["choices"]
        choice = choices.get(each["index"])
        if choice is None:
            assert each["delta"]["role"] == "assistant"
            choice = choices[each["index"]] = {
                "index": each["index"],
                "message": {},
                "logprobs": None,
                "finish_reason": None,
            }
        assert choice["finish_reason"] is None, "a delta after the finish"
        add(choice["message"], each["delta"])
        if each["logprobs"] is not None:
            choice["logprobs"] = {
                "content": (choice["logprobs"] or {"content": []})["content"] + each["logprobs"]["content"],
                "refusal": None,
            }
        choice["finish_reason"] = each["finish_reason"]
        if "stop_reason" in each:
            choice["stop_reason"] = each["stop_reason"]
    return {
        "choices": [choices[index] for index in sorted(choices)],
        "usage": last["usage"],
        "model": last["model"],
        "system_fingerprint": last["system_fingerprint"],
    }


def add(message: JSON, delta: JSON) -> None:
    """Texts grow, lists of things with an index grow at that index, all else comes once."""
    for name, value in delta.items():
        if isinstance(value, list):
            things = message.setdefault(name, [])
            for thing in value:
                assert thing["index"] <= len(things)
                if thing["index"] == len(things):
                    things.append({})
                add(things[thing["index"]], thing)
        elif isinstance(value, dict):
            add(message.setdefault(name, {}), value)
        elif isinstance(value, str) and name in ("content", "reasoning_content", "text", "arguments"):
            message[name] = (message.get(name) or "") + value
        elif name in message and name not in ("index", "type", "format"):
            raise AssertionError(f"{name} came twice")
        else:
            message[name] = value


def plain(answer: JSON) -> JSON:
    """A whole answer, or a joined stream, without ids, time and indices of calls, which may differ."""
    for choice in answer["choices"]:
        for at, call in enumerate(choice["message"].get("tool_calls", [])):
            assert call.pop("id").startswith("call_")
            assert call.pop("index", at) == at
    return {name: answer[name] for name in ("choices", "usage", "model", "system_fingerprint")}
