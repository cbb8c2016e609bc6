from __future__ import annotations

from typing import Any

import pytest
from openai import BadRequestError, NotFoundError
from openai.types.audio.transcription_create_params import TranscriptionCreateParamsBase
from openai.types.audio.translation_create_params import TranslationCreateParams

from tests.providers.sandbox.openai_client import client, refused
from trunkline.providers.sandbox import tones
from trunkline.providers.sandbox.transcriptions import TranscriptionRequest, TranslationRequest

TEXT = "Grüß Gott, world 🙂"
SAMPLES = tones.of_text(TEXT, "alloy")
SECONDS = round(tones.seconds_of(SAMPLES), 3)


async def transcribe(data: bytes = tones.wav(SAMPLES), **more: Any) -> Any:
    wanted = {"model": "transcribe", **more}
    async with client() as openai:
        return await openai.audio.transcriptions.create(file=("said.wav", data), **wanted)


@pytest.mark.parametrize(
    ("mine", "theirs"),
    [(TranscriptionRequest, TranscriptionCreateParamsBase), (TranslationRequest, TranslationCreateParams)],
)
def test_fields_are_those_of_the_sdk(mine: type[TranslationRequest], theirs: type) -> None:
    assert set(mine.__struct_fields__) - {"stream"} == set(theirs.__annotations__) - {"file"}


@pytest.mark.parametrize("data", [tones.wav(SAMPLES), SAMPLES])
async def test_the_text_comes_back(data: bytes) -> None:
    found = await transcribe(data, prompt="two words")
    assert found.text == TEXT
    assert (found.usage.type, found.usage.output_tokens, found.usage.input_token_details.text_tokens) == (
        "tokens",
        4,
        2,
    )
    assert found.usage.total_tokens == found.usage.input_tokens + 4


async def test_plain_forms() -> None:
    end = f"00:00:00,{round(SECONDS * 1000):03d}"
    assert await transcribe(response_format="text") == f"{TEXT}\n"
    assert await transcribe(response_format="srt") == f"1\n00:00:00,000 --> {end}\n{TEXT}\n\n"
    assert await transcribe(response_format="vtt") == f"WEBVTT\n\n00:00:00.000 --> {end.replace(',', '.')}\n{TEXT}\n\n"


async def test_times_of_over_a_minute() -> None:
    samples = tones.of_text("🙂" * 4_096, "alloy")
    end = round(tones.seconds_of(samples) * 1_000)
    assert end > 65_000
    said = await transcribe(tones.wav(samples), response_format="srt")
    assert f"--> 00:01:{end // 1_000 - 60:02d},{end % 1_000:03d}\n" in said


async def test_the_verbose_form() -> None:
    found = await transcribe(response_format="verbose_json", language="de", temperature=0.5)
    assert (found.text, found.language, found.duration, found.words) == (TEXT, "de", SECONDS, None)
    assert [(each.text, each.start, each.end, each.temperature) for each in found.segments] == [(TEXT, 0, SECONDS, 0.5)]
    timed = await transcribe(response_format="verbose_json", timestamp_granularities=["word"])
    assert [word.word for word in timed.words] == TEXT.split()
    assert (timed.words[0].start, timed.words[-1].end, timed.segments) == (0, SECONDS, None)
    assert all(one.end == other.start for one, other in zip(timed.words, timed.words[1:], strict=False))


async def test_a_stream_adds_up() -> None:
    found = [event async for event in await transcribe(stream=True)]
    *deltas, done = found
    assert "".join(event.delta for event in deltas) == done.text == TEXT
    assert done.usage.output_tokens == 4


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
async def test_translations() -> None:
    async with client() as openai:
        file = ("said.wav", tones.wav(SAMPLES))
        plain = await openai.audio.translations.create(model="sandbox/transcribe", file=file)
        verbose = await openai.audio.translations.create(model="transcribe", file=file, response_format="verbose_json")
    assert (plain.text, verbose.text, verbose.language) == (TEXT, TEXT, "english")


@pytest.mark.parametrize(
    ("more", "param"),
    [
        ({"data": b"RIFF....WAVE"}, "file"),
        ({"data": b"\1" * 40_000}, "file"),
        ({"response_format": "diarized_json"}, "response_format"),
        ({"response_format": "xml"}, "response_format"),
        ({"temperature": 2}, "temperature"),
        ({"timestamp_granularities": ["letter"]}, "timestamp_granularities[0]"),
        ({"model": "speak"}, "model"),
    ],
)
async def test_refusals_name_their_field(more: dict[str, Any], param: str) -> None:
    with pytest.raises(BadRequestError) as caught:
        await transcribe(**more)
    assert caught.value.param == param


async def test_an_unknown_model_is_not_found() -> None:
    with pytest.raises(NotFoundError):
        await transcribe(model="whisper-9")


async def test_a_body_that_is_no_form_is_refused() -> None:
    assert (await refused("/audio/transcriptions", {"model": "transcribe"}))[1] == "unsupported_content_type"
