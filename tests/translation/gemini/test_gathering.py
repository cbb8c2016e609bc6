"""Parts of answers as events: what is joined, what ends a part, what is told whole."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from msgspec import Raw

from trunkline.errors import UpstreamFailed
from trunkline.translation.exchange import (
    ArgumentsDelta,
    CallBegan,
    Event,
    Media,
    Opaque,
    PartCame,
    PartEnded,
    ReasoningDelta,
    State,
    StateCame,
    TextDelta,
)
from trunkline.translation.gemini import gathering
from trunkline.translation.gemini.gathering import Candidate
from trunkline.translation.gemini.shapes import Part
from trunkline.translation.gemini.vocabulary import made_call_id


def events(*parts: dict[str, Any], answer_id: str = "r") -> list[Event]:
    candidate = Candidate(0, "google")
    out: list[Event] = []
    for part in parts:
        raw = msgspec.json.encode(part)
        candidate.take(msgspec.json.decode(raw, type=Part), answer_id, lambda raw=raw: Raw(raw), out)  # type: ignore[misc]
    candidate.close(out)
    return out


def sig(part: int, data: str) -> StateCame:
    return StateCame(0, part, State("google", data))


def test_pieces_of_one_kind_are_one_part() -> None:
    assert events(
        {"text": "a", "thought": True}, {"text": "b", "thought": True}, {"text": "c"}, {"text": ""}, {"text": "d"}
    ) == [ReasoningDelta(0, 0, "a"), ReasoningDelta(0, 0, "b"), TextDelta(0, 1, "c"), TextDelta(0, 1, "d")]


def test_a_signature_ends_what_it_stands_on() -> None:
    assert events({"text": "a"}, {"text": "b", "thoughtSignature": "s"}, {"text": "c"}) == [
        TextDelta(0, 0, "a"),
        TextDelta(0, 0, "b"),
        sig(0, "s"),
        TextDelta(0, 1, "c"),
    ]


def test_a_signature_alone_belongs_to_the_text_before_it() -> None:
    assert events({"text": "a"}, {"text": "", "thoughtSignature": "s"}) == [TextDelta(0, 0, "a"), sig(0, "s")]
    assert events({"text": "a"}, {"thoughtSignature": "s"}) == [TextDelta(0, 0, "a"), sig(0, "s")]
    assert events({"text": "", "thoughtSignature": "s"}) == [TextDelta(0, 0, ""), sig(0, "s")]
    thought = {"text": "", "thought": True, "thoughtSignature": "s"}
    assert events({"text": "a", "thought": True}, thought) == [ReasoningDelta(0, 0, "a"), sig(0, "s")]
    assert events(thought) == [sig(0, "s")]


def call(part: int, name: str, arguments: str, call_id: str | None = None, *states: StateCame) -> list[Event]:
    made: list[Event] = [CallBegan(0, part, call_id or made_call_id("r", 0, part, name), name), *states]
    return [*made, *([ArgumentsDelta(0, part, arguments)] if arguments else []), PartEnded(0, part)]


def test_calls_come_whole() -> None:
    assert events(
        {"functionCall": {"id": "x", "name": "f", "args": {"n": 1.0}}, "thoughtSignature": "s"},
        {"functionCall": {"name": "f", "args": {}}},
        {"functionCall": {"name": "g"}},
        {"text": "after"},
    ) == [
        *call(0, "f", '{"n":1.0}', "x", sig(0, "s")),
        *call(1, "f", "{}"),
        *call(2, "g", ""),
        TextDelta(0, 3, "after"),
    ]


def test_calls_in_pieces() -> None:
    more = {"functionCall": {"partialArgs": [{"jsonPath": "$.a", "stringValue": "x"}], "willContinue": True}}
    last = {"functionCall": {"partialArgs": [{"jsonPath": "$.a", "stringValue": "y"}]}}
    began = {"functionCall": {"name": "f", "willContinue": True}}
    whole = call(0, "f", '{"a":"xx"}')
    assert events(began, more, more, {"functionCall": {}}) == whole
    assert events(began, more, more) == whole
    assert events(began, more, last, {"functionCall": {}}) == call(0, "f", '{"a":"xy"}')
    assert events({"functionCall": {"name": "f"}}, last, {"text": "z"}) == [
        *call(0, "f", '{"a":"y"}'),
        TextDelta(0, 1, "z"),
    ]
    assert events({"functionCall": {"name": "f"}}, {"functionCall": {"args": {"b": 1}}}) == call(0, "f", '{"b":1}')
    assert events({"functionCall": {}}, last) == []


def test_ids_that_are_made_do_not_repeat() -> None:
    made = [event.id for event in events(*[{"functionCall": {"name": "f"}}] * 3) if isinstance(event, CallBegan)]
    assert len(set(made)) == 3
    other = [
        event.id for event in events({"functionCall": {"name": "f"}}, answer_id="s") if isinstance(event, CallBegan)
    ]
    assert not {*made} & {*other}


def test_media() -> None:
    picture = {"inlineData": {"mimeType": "image/png", "data": "AAAA"}}
    shown = Media(kind="image", media_type="image/png", data="AAAA")
    film = {"fileData": {"fileUri": "https://a/b", "mimeType": "video/mp4"}}
    assert events(picture, {**picture, "thoughtSignature": "s"}, film) == [
        PartCame(0, 0, shown),
        PartCame(0, 1, shown),
        sig(2, "media:s"),
        PartCame(0, 3, Media(kind="video", media_type="video/mp4", url="https://a/b")),
    ]


def sound(data: str, kind: str = "audio/L16;rate=24000") -> dict[str, Any]:
    return {"inlineData": {"mimeType": kind, "data": data}}


def heard(part: int, data: str, kind: str = "audio/L16;rate=24000") -> PartCame:
    return PartCame(0, part, Media(kind="audio", media_type=kind, data=data))


def test_sound_is_told_whole() -> None:
    assert events(sound("AAEC"), sound("AwQ="), {"text": "x"}, sound("AAEC"), sound("AAEC", "audio/mpeg")) == [
        heard(0, "AAECAwQ="),
        TextDelta(0, 1, "x"),
        heard(2, "AAEC"),
        heard(3, "AAEC", "audio/mpeg"),
    ]
    for piece in ("A", "é"):
        with pytest.raises(UpstreamFailed, match="not base64"):
            events(sound(piece), sound(piece))


def test_sound_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gathering, "MAX_GATHERED_BYTES", 7)
    with pytest.raises(UpstreamFailed, match="more than 7 bytes"):
        events(sound("AAEC"), sound("AAEC"))


def test_what_only_this_protocol_has() -> None:
    code = {"executableCode": {"code": "1"}, "thoughtSignature": "s"}
    thought_picture = {"inlineData": {"mimeType": "image/png", "data": "AAAA"}, "thought": True}
    came = [
        event.whole
        for event in events({"text": "a"}, code, thought_picture, {"text": "b"})[1:3]
        if isinstance(event, PartCame)
    ]
    assert [(one.kind, bytes(one.raw)) for one in came if isinstance(one, Opaque)] == [
        ("executableCode", msgspec.json.encode(code)),
        ("thought", msgspec.json.encode(thought_picture)),
    ]
