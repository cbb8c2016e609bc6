"""Finish reasons, ids, and what models of which age take."""

from __future__ import annotations

import pytest
from msgspec import Raw

from tests.translation.gemini.exchanges import GEMINI_3, VERTEX
from trunkline.translation.exchange import Stop
from trunkline.translation.gemini.vocabulary import (
    begins,
    finish_reason,
    is_late,
    made_call_id,
    media_type_in,
    media_type_of,
    read_stop,
    response_id,
    said,
    takes_call_ids,
)
from trunkline.translation.target import Target, Thinking


@pytest.mark.parametrize(
    ("reason", "stop"),
    [
        ("STOP", "end"),
        ("MAX_TOKENS", "length"),
        ("CONTINUATION", "length"),
        ("SAFETY", "filter"),
        ("RECITATION", "filter"),
        ("BLOCKLIST", "filter"),
        ("PROHIBITED_CONTENT", "filter"),
        ("SPII", "filter"),
        ("LANGUAGE", "filter"),
        ("IMAGE_SAFETY", "filter"),
        ("MODEL_ARMOR", "filter"),
        ("MALFORMED_FUNCTION_CALL", "end"),
        ("OTHER", "end"),
        ("SOMETHING_NEW", "end"),
    ],
)
def test_finish_reasons_that_are_read(reason: str, stop: str) -> None:
    assert read_stop(reason, called=False) == stop
    assert read_stop(reason, called=True) == ("tool" if stop == "end" else stop)


@pytest.mark.parametrize(
    ("stop", "reason"),
    [
        ("end", "STOP"),
        ("stop_sequence", "STOP"),
        ("length", "MAX_TOKENS"),
        ("tool", "STOP"),
        ("filter", "SAFETY"),
        ("refusal", "SAFETY"),
        ("pause", "STOP"),
    ],
)
def test_finish_reasons_that_are_written(stop: Stop, reason: str) -> None:
    assert finish_reason(stop) == reason


@pytest.mark.parametrize(
    ("upstream", "thinking", "late"),
    [
        ("gemini-3-flash-preview", None, True),
        ("gemini-3.8-flash", "effort", True),
        ("gemini-10-pro", None, True),
        ("gemini-flash-latest", None, True),
        ("gemini-2.5-pro", "budget", False),
        ("gemini-2.5-pro", None, False),
        ("gemini-2.0-flash", "never", False),
        ("gemini-1.5-pro", None, False),
        ("gemini-pro", None, False),
        ("google/gemini-2.5-flash", None, False),
        ("gemma-3-27b-it", None, False),
        ("echo", None, False),
        ("echo", "effort", True),
    ],
)
def test_which_models_are_late(upstream: str, thinking: Thinking | None, late: bool) -> None:
    target = Target(provider_id="google", model_id="m", upstream=upstream, thinking=thinking)
    assert is_late(target) is late


def test_who_takes_ids_of_calls() -> None:
    refuses = Target(provider_id="mine", model_id="m", upstream="m", drops=("tool_calls.id",))
    assert takes_call_ids(GEMINI_3)
    assert not takes_call_ids(VERTEX)
    assert not takes_call_ids(refuses)


def test_ids_are_the_same_for_the_same() -> None:
    assert made_call_id("r", 0, 1, "f") == made_call_id("r", 0, 1, "f")
    assert len({made_call_id("r", 0, 1, "f"), made_call_id("r", 1, 0, "f"), made_call_id("s", 0, 1, "f")}) == 3
    assert made_call_id("\ud800").startswith("call_")
    assert response_id("given", "m") == "given"
    assert response_id("", "m") == response_id("", "m") != response_id("", "n")


@pytest.mark.parametrize(
    ("url", "media_type"),
    [
        ("https://a.example/b.PNG?x=1", "image/png"),
        ("gs://bucket/film.mp4", "video/mp4"),
        ("https://www.youtube.com/watch?v=x", "video/mp4"),
        ("https://youtu.be/x", "video/mp4"),
        ("https://a.example/paper.pdf#page=2", "application/pdf"),
        ("https://a.example/b", None),
        ("https://a.example/b.unknown", None),
    ],
)
def test_what_an_address_says_of_its_kind(url: str, media_type: str | None) -> None:
    assert media_type_of(url) == media_type


def test_what_data_say_of_their_kind() -> None:
    assert media_type_in("iVBORw0KGgo=") == "image/png"
    assert media_type_in("JVBERi0xLjQK") == "application/pdf"
    assert media_type_in("AAAA") is None


def test_raw_values() -> None:
    assert said(Raw(b"{}"))
    assert not said(Raw(b"null"))
    assert not said(Raw())
    assert begins(Raw(b'"x"'), b'"')
    assert not begins(Raw(b""), b'"')
