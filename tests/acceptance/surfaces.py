"""The routes that take a JSON body, and the three envelopes that refusals come in."""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass
from typing import Any, Literal

from tests.acceptance.asking import PATIENCE_S, Reply, connected, head, read_reply

Family = Literal["openai", "anthropic", "google"]
MESSAGES = [{"role": "user", "content": "hi"}]
CONTENTS = [{"role": "user", "parts": [{"text": "hi"}]}]
SANDBOXES = ("sandbox", "sandbox-messages", "sandbox-responses", "sandbox-gemini")


@dataclass(frozen=True)
class Surface:
    """`body` is a good one, `main` its field with the prompt, `model` where the model stands in it ("" in the path)."""

    path: str
    body: dict[str, Any]
    main: str
    model: str = "model"

    @property
    def family(self) -> Family:
        return family_of(self.path)


def family_of(path: str) -> Family:
    if path.startswith("/v1/messages"):
        return "anthropic"
    return "google" if path.startswith("/v1beta/") else "openai"


def conversation(provider: str, model: str = "echo") -> dict[str, Surface]:
    """Every route that is about an answer of a model."""
    name = f"{provider}/{model}"
    return {
        f"chat of {name}": Surface("/v1/chat/completions", {"model": name, "messages": MESSAGES}, "messages"),
        f"messages of {name}": Surface(
            "/v1/messages", {"model": name, "max_tokens": 100, "messages": MESSAGES}, "messages"
        ),
        f"count of {name}": Surface("/v1/messages/count_tokens", {"model": name, "messages": MESSAGES}, "messages"),
        f"responses of {name}": Surface("/v1/responses", {"model": name, "input": "hi", "store": False}, "input"),
        f"stored responses of {name}": Surface("/v1/responses", {"model": name, "input": "hi"}, "input"),
        f"input tokens of {name}": Surface("/v1/responses/input_tokens", {"model": name, "input": "hi"}, "input"),
        f"gemini of {name}": Surface(
            f"/v1beta/models/{name}:generateContent", {"contents": CONTENTS}, "contents", model=""
        ),
        f"gemini count of {name}": Surface(
            f"/v1beta/models/{name}:countTokens", {"contents": CONTENTS}, "contents", model=""
        ),
    }


FORWARDED = {
    "embeddings": Surface("/v1/embeddings", {"model": "sandbox/embed", "input": "hi"}, "input"),
    "images": Surface("/v1/images/generations", {"model": "sandbox/paint", "prompt": "hi", "size": "32x32"}, "prompt"),
    "speech": Surface("/v1/audio/speech", {"model": "sandbox/speak", "input": "hi", "voice": "alloy"}, "input"),
    "moderations": Surface("/v1/moderations", {"model": "sandbox/moderate", "input": "hi"}, "input"),
    "rerank": Surface("/v1/rerank", {"model": "sandbox/rerank", "query": "hi", "documents": ["a"]}, "documents"),
}
OTHERS = {"conversations": Surface("/v1/conversations", {"items": []}, "items", model="")}
EVERY = {
    **{name: surface for provider in SANDBOXES for name, surface in conversation(provider).items()},
    **FORWARDED,
    **OTHERS,
}
ONE_OF_EACH = {**conversation("sandbox"), **FORWARDED, **OTHERS}


def post(url: str, key: str | None, path: str, body: bytes | dict[str, Any], *more: tuple[str, str | bytes]) -> Reply:
    """`more` may hold another content-type."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers: list[tuple[str, str | bytes]] = [("content-length", str(len(data))), *more]
    if not any(name == "content-type" for name, _ in more):
        headers.append(("content-type", "application/json"))
    if key is not None:
        headers.append(("authorization", f"Bearer {key}"))
    with connected(url) as link:
        link.settimeout(2 * PATIENCE_S)
        with contextlib.suppress(OSError):  # refused before the end: the answer is there all the same
            link.sendall(head("POST", path, headers) + data)
        return read_reply(link)


def refusal(reply: Reply, family: Family) -> dict[str, Any]:
    """The error, in the whole envelope of its family and nothing else; a message that can be read."""
    assert reply.status >= 400, (reply.status, reply.body[:300])
    assert reply.header("content-type") == "application/json"
    assert reply.header("x-request-id")
    assert len(reply.body) < 4096
    said = reply.json()
    error: dict[str, Any] = said["error"]
    assert isinstance(error["message"], str)
    assert error["message"]
    if family == "anthropic":
        assert set(said) == {"type", "error", "request_id"}
        assert said["type"] == "error"
        assert set(error) == {"type", "message"}
        assert reply.header("request-id") == said["request_id"]
    elif family == "google":
        assert set(said) == {"error"}
        assert set(error) == {"code", "message", "status"}
        assert error["code"] == reply.status
    else:
        assert set(said) == {"error"}
        assert set(error) == {"message", "type", "param", "code"}
    return error
