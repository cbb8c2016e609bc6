"""Stop reasons, ids, tiers and lifetimes."""

from __future__ import annotations

from typing import Any, get_args

import pytest
from anthropic.types.beta import BetaStopReason
from msgspec import Raw

from trunkline.translation.anthropic_messages.vocabulary import (
    STOP_OF,
    begins,
    cache_control,
    is_narrower,
    lifetime,
    message_id,
    said,
    stop_reason,
    tier_of,
)
from trunkline.translation.exchange import Stop


def test_every_stop_reason_is_read() -> None:
    assert STOP_OF.keys() == set(get_args(BetaStopReason))


@pytest.mark.parametrize(
    ("stop", "sequence", "called", "reason"),
    [
        ("end", None, False, "end_turn"),
        ("end", None, True, "tool_use"),
        ("stop_sequence", "x", False, "stop_sequence"),
        ("stop_sequence", None, False, "end_turn"),
        ("length", None, True, "max_tokens"),
        ("tool", None, False, "tool_use"),
        ("filter", None, False, "refusal"),
        ("refusal", None, False, "refusal"),
        ("pause", None, True, "pause_turn"),
    ],
)
def test_every_stop_is_written(stop: Stop, sequence: str | None, called: bool, reason: str) -> None:
    assert stop_reason(stop, sequence, called=called) == reason
    assert reason in get_args(BetaStopReason)


def test_ids() -> None:
    assert message_id("msg_01Abc", "m") == "msg_01Abc"
    assert message_id("chatcmpl-9aB_c", "m") == "msg_9aB_c"
    assert message_id("resp_1", "m") == "msg_1"
    assert message_id("a|b c", "m") == "msg_abc"
    assert message_id("", "m") == message_id("", "m") != message_id("", "n")
    assert len(message_id("", "m")) == 28


@pytest.mark.parametrize(
    ("control", "kept"),
    [
        (b"", None),
        (b"null", None),
        (b'{"type":"ephemeral"}', "5m"),
        (b'{"type":"ephemeral","ttl":"5m"}', "5m"),
        (b'{"type":"ephemeral","ttl":"1h"}', "1h"),
        (b'{"type":"ephemeral","ttl":1}', "5m"),
    ],
)
def test_lifetimes(control: bytes, kept: Any) -> None:
    assert lifetime(Raw(control)) == kept
    if kept is not None:
        assert cache_control(kept)["type"] == "ephemeral"


def test_tiers() -> None:
    assert tier_of(Raw(b'{"service_tier":"standard"}')) == "default"
    assert tier_of(Raw(b'{"service_tier":"batch"}')) is None
    assert tier_of(Raw(b'{"service_tier":1}')) is None
    assert tier_of(Raw()) is None


def test_looking_at_raw_values() -> None:
    assert [said(Raw(text)) for text in (b"", b"null", b"{}", b"true")] == [False, False, True, True]
    assert begins(Raw(b'"x"'), b'"')
    assert not begins(Raw(b""), b'"')


def test_versions() -> None:
    wide, narrow = ("", "2023-06-01", "vertex-2023-10-16", "bedrock-2023-05-31"), ("2026-10-21", "vertex-2026-10-21")
    assert [is_narrower(version) for version in (*wide, *narrow)] == [False] * 4 + [True] * 2
