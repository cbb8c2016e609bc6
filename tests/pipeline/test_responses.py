"""What a call of Responses goes on from, and what is kept of it: providers follow a script, the state is in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.pipeline.kept import (
    ACCOUNT,
    CHAT,
    OWN,
    House,
    chunk,
    decoded,
    message,
    own_answer,
    pieces,
    reasoning,
    said,
)
from tests.pipeline.scripted import Reply
from tests.pipeline.test_relay import jump
from tests.thoroughness import examples
from trunkline import clock
from trunkline.errors import InvalidRequest, NotFound, StoreUnavailable, UpstreamFailed
from trunkline.pipeline.responses import MOST_REFERRED, Context, Recent
from trunkline.ports.responses import ItemRecord, ResponsesOptions, StoredResponse

NOW_S = 1_800_000_000.0


@pytest.fixture(autouse=True)
def _held_clocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "monotonic_s", lambda: asyncio.get_running_loop().time())
    monkeypatch.setattr(clock, "now_s", lambda: NOW_S)


def play(scene: Callable[[], Awaitable[None]]) -> None:
    async def playing() -> None:
        await scene()
        assert len(asyncio.all_tasks()) == 1, "a task was left behind"

    jump(playing())


def spoken(asked: dict[str, Any]) -> list[tuple[str, str]]:
    """Who said what, in a request of Chat Completions."""
    return [(turn["role"], turn["content"]) for turn in asked["messages"]]


class TestWhatIsKept:
    def test_the_whole_answer_with_all_that_it_goes_on_from(self) -> None:
        async def scene() -> None:
            house = House(said("one"), said("two"), options=ResponsesOptions(retention_days=2))
            first = await house.run(input="hello", metadata={"a": "b"})
            second = await house.run(input="again", previous_response_id=first["id"])
            kept = house.responses.kept[second["id"]]
            assert decoded(kept.response) == second
            assert (kept.account_id, kept.status, kept.model) == (ACCOUNT, "completed", CHAT)
            assert (kept.created_at, kept.expires_at) == (int(NOW_S), NOW_S + 2 * 86_400)
            assert kept.previous_response_id == first["id"]
            (item,) = msgspec.json.decode(kept.input)
            assert item["content"] == [{"type": "input_text", "text": "again"}]
            assert item["id"].startswith(f"msg_{second['id'].removeprefix('resp_')}")
            assert (first["metadata"], first["store"], second["metadata"]) == ({"a": "b"}, True, {})

        play(scene)

    @pytest.mark.parametrize(
        ("default", "store", "kept"), [(True, None, 1), (True, False, 0), (False, None, 0), (False, True, 1)]
    )
    def test_the_caller_decides_before_the_setting(self, default: bool, store: bool | None, kept: int) -> None:
        async def scene() -> None:
            house = House(said("one"), options=ResponsesOptions(store_default=default))
            answer = await house.run(**({} if store is None else {"store": store}))
            assert len(house.responses.kept) == kept
            assert answer["store"] is (kept == 1)
            assert answer["id"].startswith("resp_")

        play(scene)

    def test_a_stream_is_kept_before_its_end_goes_out(self) -> None:
        async def scene() -> None:
            house = House(pieces("one", " two"))
            kept_at_the_end: list[int] = []

            def heed(data: bytes) -> None:
                if b"response.completed" in data:
                    kept_at_the_end.append(len(house.responses.kept))

            house.heed = heed
            events = await house.stream()
            assert kept_at_the_end == [1]
            assert [event["sequence_number"] for event in events] == list(range(len(events)))
            kept = house.responses.kept[events[-1]["response"]["id"]]
            assert decoded(kept.response) == events[-1]["response"]
            assert {event["response"]["id"] for event in events if "response" in event} == {kept.id}

        play(scene)

    def test_the_end_waits_for_usage_that_comes_late(self) -> None:
        """Two seconds are the longest that other protocols wait; here what goes out must be kept, and whole."""

        async def scene() -> None:
            usage = b'data: {"id":"chatcmpl-1","choices":[],"usage":{"prompt_tokens":3,"completion_tokens":1}}\n\n'
            house = House(Reply((0, chunk({"content": "x"})), (0, chunk({}, "stop")), (9, usage + b"data: [DONE]\n\n")))
            events = await house.stream()
            assert events[-1]["response"]["usage"]["total_tokens"] == 4

        play(scene)

    def test_a_stream_that_fails_is_kept_as_failed(self) -> None:
        async def scene() -> None:
            house = House(pieces("one", ends=False))
            events = await house.stream()
            last = events[-1]
            assert last["type"] == "response.failed"
            assert [event["sequence_number"] for event in events] == list(range(len(events)))
            assert last["response"]["error"]["code"] == "server_error"
            kept = house.responses.kept[last["response"]["id"]]
            assert (kept.status, decoded(kept.response)) == ("failed", last["response"])
            with pytest.raises(InvalidRequest, match="is failed") as refused:
                await house.run(previous_response_id=kept.id)
            assert refused.value.param == "previous_response_id"
            assert len(house.transport.requests) == 1

        play(scene)

    def test_what_cannot_be_kept_is_not_told_as_done(self) -> None:
        async def scene() -> None:
            house = House(said("one"))
            house.responses.down = 1
            with pytest.raises(StoreUnavailable):
                await house.run()
            house = House(pieces("one", " two"))
            house.responses.down = 2
            events = await house.stream()
            assert [event["sequence_number"] for event in events] == list(range(len(events)))
            assert events[-1]["type"] == "error"
            assert events[-1]["code"] == "store_unavailable"
            assert house.responses.kept == {}

        play(scene)

    def test_a_failure_that_cannot_be_kept_is_told_all_the_same(self) -> None:
        async def scene() -> None:
            house = House(pieces("one", ends=False))
            house.responses.down = 1
            events = await house.stream()
            assert events[-1]["type"] == "response.failed"
            assert house.responses.kept == {}

        play(scene)

    def test_an_error_before_the_first_event_is_an_error(self) -> None:
        async def scene() -> None:
            house = House(Reply((0, b""), status=500))
            with pytest.raises(UpstreamFailed):
                await house.stream()
            assert house.responses.kept == {}

        play(scene)


class TestGoingOn:
    def test_from_all_the_turns_before(self) -> None:
        async def scene() -> None:
            house = House(said("one"), said("two"), said("three"))
            first = await house.run(input="a", instructions="be brief")
            second = await house.run(input="b", previous_response_id=first["id"])
            await house.run(input="c", previous_response_id=second["id"], store=False)
            assert spoken(house.asked(0)) == [("system", "be brief"), ("user", "a")]
            assert spoken(house.asked(2)) == [
                ("user", "a"),
                ("assistant", "one"),
                ("user", "b"),
                ("assistant", "two"),
                ("user", "c"),
            ]

        play(scene)

    @settings(max_examples=examples(20), deadline=None)
    @given(st.lists(st.text(alphabet='ab \u2028\U0001f600\\"', min_size=1), min_size=1, max_size=5), st.booleans())
    def test_as_if_the_caller_had_sent_it_all(self, texts: list[str], in_a_conversation: bool) -> None:
        async def scene() -> None:
            script = [said(text[::-1]) for text in texts]
            house, other = House(*script), House(said(""))
            house.conversations.kept["conv_1"] = []
            history: list[dict[str, Any]] = []
            more: dict[str, Any] = {"conversation": "conv_1"} if in_a_conversation else {}
            for text in texts:
                answer = await house.run(input=text, **more)
                history += [{"role": "user", "content": text}, {"role": "assistant", "content": text[::-1]}]
                if not in_a_conversation:
                    more = {"previous_response_id": answer["id"]}
            await other.run(input=history[:-1])
            assert spoken(house.asked()) == spoken(other.asked())

        # Hypothesis comes back here within one test: the clocks are held for all of them.
        play(scene)

    def test_not_from_what_is_not_there_or_not_done(self) -> None:
        async def scene() -> None:
            house = House()
            with pytest.raises(InvalidRequest) as unknown:
                await house.run(previous_response_id="resp_x")
            assert unknown.value.code == "previous_response_not_found"
            for status in ("queued", "in_progress", "cancelled", "failed"):
                house.responses.kept["resp_r"] = _kept("resp_r", status)
                with pytest.raises(InvalidRequest, match=status) as refused:
                    await house.run(previous_response_id="resp_r")
                assert refused.value.code == "previous_response_not_completed"
            with pytest.raises(NotFound) as nowhere:
                await house.run(conversation="conv_x")
            assert (nowhere.value.code, nowhere.value.param) == ("conversation_not_found", "conversation")
            assert house.transport.requests == []

        play(scene)

    def test_a_conversation_is_read_and_added_to(self) -> None:
        async def scene() -> None:
            house = House(said("one"), said("two"))
            given = msgspec.json.encode({"id": "msg_0", "type": "message", "role": "user", "content": "zero"})
            house.conversations.kept["conv_1"] = [ItemRecord("msg_0", given)]
            first = await house.run(input="a", conversation={"id": "conv_1"})
            await house.run(input="b", conversation="conv_1", store=False)
            assert first["conversation"] == {"id": "conv_1"}
            assert spoken(house.asked()) == [("user", "zero"), ("user", "a"), ("assistant", "one"), ("user", "b")]
            items = [decoded(record.content) for record in house.conversations.kept["conv_1"]]
            assert [item["role"] for item in items] == ["user", "user", "assistant", "user", "assistant"]
            assert [record.id for record in house.conversations.kept["conv_1"]] == [item["id"] for item in items]
            assert list(house.responses.kept) == [first["id"]]

        play(scene)

    def test_references_become_their_items(self) -> None:
        async def scene() -> None:
            house = House(said("one"), said("two"), said("three"))
            first = await house.run(input="a")
            (asked,) = msgspec.json.decode(house.responses.kept[first["id"]].input)
            named = [{"type": "item_reference", "id": asked["id"]}, {"id": first["output"][0]["id"]}]
            second = await house.run(input=[*named, {"role": "user", "content": "b"}])
            assert spoken(house.asked()) == [("user", "a"), ("assistant", "one"), ("user", "b")]
            # What is kept are the items, so that nothing is lost when the first response is deleted.
            house.responses.kept.pop(first["id"])
            await house.run(input="c", previous_response_id=second["id"])
            assert spoken(house.asked())[:2] == [("user", "a"), ("assistant", "one")]

        play(scene)

    def test_references_to_nothing_or_to_too_much(self) -> None:
        async def scene() -> None:
            house = House()
            with pytest.raises(InvalidRequest) as unknown:
                await house.run(input=[{"role": "user", "content": "x"}, {"type": "item_reference", "id": "msg_x"}])
            assert (unknown.value.code, unknown.value.param) == ("item_not_found", "input[1].id")
            many = [{"type": "item_reference", "id": f"msg_{number:048x}000"} for number in range(MOST_REFERRED + 1)]
            with pytest.raises(InvalidRequest) as much:
                await house.run(input=many)
            assert (much.value.code, much.value.param) == ("context_length_exceeded", "input")

        play(scene)


def _kept(response_id: str, status: Any) -> StoredResponse:
    whole = msgspec.json.encode({"id": response_id, "status": status, "output": []})
    return StoredResponse(
        id=response_id,
        account_id=ACCOUNT,
        created_at=1,
        expires_at=NOW_S + 1,
        status=status,
        model=CHAT,
        response=whole,
    )


class TestProvidersOfTheProtocol:
    def test_hidden_reasoning_returns_to_its_maker_alone(self) -> None:
        async def scene() -> None:
            house = House(own_answer(reasoning(), message("hi")), own_answer(message("again")), said("other"))
            house.conversations.kept["conv_1"] = []
            first = await house.run(model=OWN, input="a", conversation="conv_1")
            assert [item["type"] for item in first["output"]] == ["message"]
            kept = decoded(house.responses.kept[first["id"]].response)
            assert [item["type"] for item in kept["output"]] == ["reasoning", "message"]
            shown = [decoded(record.content)["type"] for record in house.conversations.kept["conv_1"]]
            assert shown == ["message", "message"]
            await house.run(model=OWN, input="b", previous_response_id=first["id"])
            back = [item for item in house.asked()["input"] if item.get("type") == "reasoning"]
            assert [item["encrypted_content"] for item in back] == ["sealed=="]
            await house.run(model=CHAT, input="c", previous_response_id=first["id"])
            assert b"sealed==" not in house.transport.requests[-1].body

        play(scene)

    def test_the_gateways_state_is_not_left_with_them(self) -> None:
        async def scene() -> None:
            house = House(own_answer(message()), own_answer(message()))
            first = await house.run(model=OWN, store=True)
            await house.run(model=OWN, previous_response_id=first["id"], conversation=None)
            for asked in (house.asked(0), house.asked(1)):
                assert asked["store"] is False
                assert asked["include"] == ["reasoning.encrypted_content"]
                assert not asked.keys() & {"previous_response_id", "conversation", "background"}
            assert b"resp_" not in house.transport.requests[-1].body

        play(scene)

    def test_ids_of_ours_stay_here(self) -> None:
        """OpenAI refuses an item whose id does not begin as it expects."""

        async def scene() -> None:
            house = House(own_answer(message()), own_answer(message()))
            odd = {"type": "local_shell_call_output", "call_id": "c", "output": "x"}
            first = await house.run(model=OWN, input=[{"role": "user", "content": "x"}, odd])
            assert odd in house.asked()["input"]
            await house.run(model=OWN, input="y", previous_response_id=first["id"])
            assert odd in house.asked()["input"]
            items = msgspec.json.decode(house.responses.kept[first["id"]].input)
            assert all(item["id"] for item in items)

        play(scene)

    def test_a_stateless_call_passes_as_it_came(self) -> None:
        async def scene() -> None:
            house = House(own_answer(message()))
            answer = await house.run(
                model=OWN, input=[{"role": "user", "content": "x"}], store=False, of_tomorrow=[1.5]
            )
            assert answer["id"] == "resp_of_provider"
            asked = house.asked()
            assert asked == {
                "model": "small",
                "input": [{"role": "user", "content": "x"}],
                "store": False,
                "of_tomorrow": [1.5],
            }
            assert house.responses.log == []

        play(scene)


class TestRecent:
    def test_what_is_not_stored_is_remembered_for_its_connection(self) -> None:
        async def scene() -> None:
            house = House(own_answer(message("one")), own_answer(message("two")), said("three"))
            keeper = house.keeper.of_connection()
            first = await house.run(keeper, model=OWN, input="a", store=False)
            assert first["id"] != "resp_of_provider"
            second = await house.run(keeper, model=OWN, input="b", store=True, previous_response_id=first["id"])
            assert house.responses.kept[second["id"]].previous_response_id is None
            assert second["previous_response_id"] == first["id"]
            with pytest.raises(InvalidRequest):
                await house.run(house.keeper.of_connection(), input="x", previous_response_id=first["id"])
            # Elsewhere the stored one has all that it went on from.
            await house.run(input="c", previous_response_id=second["id"])
            turns = [("user", "a"), ("assistant", "one"), ("user", "b"), ("assistant", "two"), ("user", "c")]
            assert spoken(house.asked()) == turns

        play(scene)

    def test_it_is_bounded_and_the_oldest_go(self) -> None:
        recent = Recent(most_bytes=100)
        for number in range(5):
            recent.keep(f"resp_{number}", Context([msgspec.Raw(b"x" * 40)]))
        assert [recent.find(f"resp_{number}") is not None for number in range(5)] == [False, False, False, True, True]
        recent.keep("resp_5", Context([msgspec.Raw(b"x" * 101)]))
        assert recent.find("resp_5") is None
        recent.keep("resp_6", Context([msgspec.Raw(b"x" * 100)]))
        assert recent.find("resp_6") is not None


def test_what_only_the_provider_knows_goes_to_it_as_it_is() -> None:
    async def scene() -> None:
        house = House(own_answer(message()), own_answer(message()))
        part = {"type": "input_file", "file_id": "file_1"}
        search = {"type": "file_search", "vector_store_ids": ["vs_1"]}
        first = await house.run(model=OWN, input=[{"role": "user", "content": [part]}], tools=[search])
        await house.run(model=OWN, input="and?", previous_response_id=first["id"])
        for place in (0, 1):
            assert part in house.asked(place)["input"][0]["content"]
        assert house.asked(0)["tools"] == [search]

    play(scene)
