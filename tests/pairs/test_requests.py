"""Every pair of protocols: what a caller asks reaches the provider; what does not is told and stands in the table."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.pairs.asking import ToldLosses, has_line, is_in_table
from tests.pairs.callers import CALLERS, Caller
from tests.pairs.crossing import EVERY_PAIR
from tests.pairs.essence import differing
from tests.pairs.readback import read_back
from tests.pairs.upstreams import UPSTREAMS, Upstream
from tests.thoroughness import examples
from tests.translation import strategies
from tests.translation.strategies import Scope
from trunkline.errors import InvalidRequest
from trunkline.translation.exchange import Request
from trunkline.translation.losses import Losses

ASKS = {
    "openai_chat": Scope(media_sources=("data", "url"), state=False),
    "anthropic_messages": Scope(
        protocol="anthropic_messages",
        media=("image", "document"),
        media_in_results=True,
        errors_in_results=True,
        custom_tools=False,
        names=False,
        refusals=False,
        state=False,
    ),
    "openai_responses": Scope(
        protocol="openai_responses",
        media=("image", "document"),
        media_in_results=True,
        summaries=True,
        names=False,
        state=False,
    ),
    "gemini": Scope(
        protocol="gemini",
        media=("image", "document", "audio", "video"),
        media_sources=("data", "url"),
        custom_tools=False,
        names=False,
        refusals=False,
        cache=False,
        state=False,
    ),
}
"""What callers of a protocol can say. State has tests of its own."""

TURNS = {"turns", "turns.parts", "turns.instructions"}
EXPLAINS: dict[str, set[str]] = {
    "tool_result": TURNS,
    "media": TURNS,
    "cache_control": {"cache"},
    # A form that is asked for in words is described in them too.
    "output_format": {"turns.instructions", "output_format.description"},
    "tool_choice": {"tools", "turns.instructions", "cache"},
    "tools": {"tool_choice", "cache"},
    "safety_identifier": {"end_user"},
    "metadata": {"end_user"},
}
"""What follows from a loss that was told, beside the loss itself, by the first word of its name."""

SILENT: dict[str, set[str]] = {
    "openai_chat": {"turns.parts"},
    "openai_responses": set(),
    "anthropic_messages": {"max_tokens", "output_format", "output_format.description"},
    "gemini": set(),
    "bedrock_converse": {"output_format", "output_format.description"},
    "cohere_chat": {"output_format"},
    "ollama_chat": {"turns.parts"},
}
"""Losses that nobody is told of, because the answer is what was asked for. The table has a line for each."""


def check(caller: Caller, upstream: Upstream, data: st.DataObject) -> None:
    first = data.draw(strategies.requests(ASKS[caller.protocol]))
    try:
        body = caller.translator.write_request(first, UPSTREAMS[caller.protocol].target(), Losses("m", {}))
    except InvalidRequest:
        return  # not even in its own protocol
    asked = read_back(caller.protocol, body, stream=first.stream)
    target, losses = upstream.target(), ToldLosses(asked)
    written = None
    with contextlib.suppress(InvalidRequest):
        written = upstream.translator.write_request(asked, target, losses)
    untold = {told for told in losses.told if not is_in_table(upstream, asked, target, told)}
    assert not untold, "told, and not in the table"
    if written is None:
        return
    assert upstream.translator.write_request(asked, target, ToldLosses(asked)) == written, "equal asks, equal bytes"
    gone = differing(asked, read_back(upstream.protocol, written, stream=asked.stream))
    unexplained = {name: values for name, values in gone.items() if name not in explained(upstream, asked, losses)}
    assert not unexplained, (unexplained, losses.told)


def explained(upstream: Upstream, asked: Request, losses: ToldLosses) -> set[str]:
    names = {name for name, _ in losses.told}
    found = {"model"} | names | SILENT[upstream.protocol]
    if asked.output_format is not None and "output_format" in SILENT[upstream.protocol]:
        found.add("turns.instructions")
    for name in names:
        first = name.partition(".")[0]
        found |= {first, *EXPLAINS.get(first, ())}
        if first in ("turns", "opaque", "content"):
            found |= TURNS
    return found


@EVERY_PAIR
@settings(max_examples=examples(8))
@given(data=st.data())
def test_a_request_keeps_what_is_not_told(caller: Caller, upstream: Upstream, data: st.DataObject) -> None:
    check(caller, upstream, data)


@pytest.mark.slow
@EVERY_PAIR
@settings(max_examples=examples(400))
@given(data=st.data())
def test_many_requests_keep_what_is_not_told(caller: Caller, upstream: Upstream, data: st.DataObject) -> None:
    check(caller, upstream, data)


@pytest.mark.parametrize("upstream", UPSTREAMS.values(), ids=UPSTREAMS)
def test_what_is_silent_has_its_line(upstream: Upstream) -> None:
    assert all(has_line(upstream, name) for name in SILENT[upstream.protocol])


def test_every_caller_and_upstream_has_its_scope() -> None:
    assert ASKS.keys() == CALLERS.keys()
    assert SILENT.keys() == UPSTREAMS.keys()
