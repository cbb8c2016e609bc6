"""Streamed answers as their callers read them, in each of the four protocols, without a library."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from tests.acceptance.asking import Reply
from tests.acceptance.surfaces import Surface, conversation


def request(caller: str, model: str, *, stream: bool) -> tuple[str, dict[str, Any]]:
    surface: Surface = conversation(*model.split("/", 1) if "/" in model else ("", model))[f"{caller} of {model}"]
    if caller == "gemini":
        return (
            surface.path.replace(":generate", ":streamGenerate") + "?alt=sse" if stream else surface.path
        ), surface.body
    return surface.path, {**surface.body, "stream": stream}


@dataclass
class Told:
    """What a streamed answer amounts to. `ended`: it says of itself that it is complete."""

    text: str = ""
    error: dict[str, Any] | None = None
    ended: bool = False


def told(reply: Reply, caller: str) -> Told:
    found = Told()
    assert reply.status == 200, reply.body[:300]
    assert reply.whole
    lines = [line for line in reply.body.decode().split("\n") if line]
    assert all(line.startswith(("data: ", "event: ", ": ")) for line in lines), lines
    for line in lines:
        if line == "data: [DONE]":
            found.ended = True
        elif line.startswith("data: "):
            assert found.error is None, "nothing follows an error"
            READ[caller](json.loads(line[6:]), found)
    return found


def read_chat(data: dict[str, Any], found: Told) -> None:
    found.error = data.get("error")
    for choice in data.get("choices", []):
        found.text += choice["delta"].get("content") or ""


def read_messages(data: dict[str, Any], found: Told) -> None:
    found.error = data["error"] if data["type"] == "error" else None
    found.ended = found.ended or data["type"] == "message_stop"
    if data["type"] == "content_block_delta":
        found.text += data["delta"].get("text", "")


def read_responses(data: dict[str, Any], found: Told) -> None:
    if data["type"] in ("error", "response.failed"):
        found.error = data if data["type"] == "error" else data["response"]["error"]
    found.ended = found.ended or data["type"] in ("response.completed", "response.incomplete")
    if data["type"] == "response.output_text.delta":
        found.text += data["delta"]


def read_gemini(data: dict[str, Any], found: Told) -> None:
    found.error = data.get("error")
    for candidate in data.get("candidates", []):
        found.text += "".join(part.get("text", "") for part in candidate.get("content", {}).get("parts", []))
        found.ended = found.ended or "finishReason" in candidate


READ = {"chat": read_chat, "messages": read_messages, "responses": read_responses, "gemini": read_gemini}
