from __future__ import annotations

from base64 import b64decode

import msgspec
import pytest

from tests.providers.sandbox.exchange import JSON, events
from tests.providers.sandbox.openai_client import client, post, refused
from trunkline.providers.sandbox import tones

PATH = "/audio/speech"
BODY = {"model": "speak", "input": "Hello there.", "voice": "alloy"}


@pytest.mark.parametrize(("kind", "content_type"), [(None, b"audio/wav"), ("wav", b"audio/wav"), ("pcm", b"audio/pcm")])
async def test_sound_holds_the_text(kind: str | None, content_type: bytes) -> None:
    answered = await post(PATH, {**BODY, **({"response_format": kind} if kind else {})})
    assert (answered.status, answered.headers[b"content-type"]) == (200, content_type)
    assert answered.body.startswith(b"RIFF") is (kind != "pcm")
    assert tones.text_of(tones.samples_of(answered.body)) == "Hello there."


async def test_the_client_and_a_voice_of_ones_own() -> None:
    async with client() as openai:
        said = await openai.audio.speech.create(model="sandbox/speak", input="x" * 4_096, voice={"id": "voice_1"})
    assert tones.text_of(tones.samples_of(said.content)) == "x" * 4_096


async def test_events_add_up_to_the_file() -> None:
    streamed = await post(PATH, {**BODY, "stream_format": "sse"})
    whole = await post(PATH, BODY)
    *deltas, done = (msgspec.json.decode(data) for data in events(streamed.body))
    assert {delta["type"] for delta in deltas} == {"speech.audio.delta"}
    assert b"".join(b64decode(delta["audio"]) for delta in deltas) == whole.body
    assert done["type"] == "speech.audio.done"
    assert done["usage"]["input_tokens"] == 2
    assert done["usage"]["total_tokens"] == 2 + done["usage"]["output_tokens"] > 2


@pytest.mark.parametrize(
    ("body", "param"),
    [
        *(({"response_format": kind}, "response_format") for kind in ("mp3", "opus", "aac", "flac", "ogg")),
        ({"input": ""}, "input"),
        ({"input": "x" * 4_097}, "input"),
        ({"speed": 5}, "speed"),
        ({"voice": None}, "voice"),
        ({"stream": True}, "stream"),
        ({"model": "transcribe"}, "model"),
    ],
)
async def test_refusals_name_their_field(body: JSON, param: str) -> None:
    assert (await refused(PATH, {**BODY, **body}))[0] == param


async def test_a_format_that_is_not_made_is_named() -> None:
    answered = await post(PATH, {**BODY, "response_format": "mp3"})
    assert "mp3" in answered.error()["message"]
