from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from tests.pipeline.kept import CHAT, OWN, House, body, decoded, message, own_answer
from tests.pipeline.scripted import Reply, ScriptedClient, refused
from tests.pipeline.test_relay import jump
from trunkline import clock
from trunkline.errors import InvalidRequest, TrunklineError, UpstreamFailed, UpstreamRefused
from trunkline.pipeline.compaction import Compacting

COMPACTED = msgspec.json.encode(
    {
        "id": "resp_c",
        "object": "response.compaction",
        "created_at": 1,
        "output": [{"type": "compaction", "id": "cmp_1", "encrypted_content": "short=="}],
        "usage": {"input_tokens": 9, "output_tokens": 2, "total_tokens": 11},
    }
)


@pytest.fixture(autouse=True)
def _held_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "monotonic_s", lambda: asyncio.get_running_loop().time())


async def compact(house: House, **fields: Any) -> bytes:
    compacting = Compacting(house.pipeline, house.keeper, {"https": house.transport}, house.ledger)
    house.call = house.new_call()
    try:
        return await compacting.run(house.call, ScriptedClient(body(**fields)))
    finally:
        assert house.transport.all_closed()
        assert house.ledger.calls[-1] is house.call, "recorded, however it ended"


def test_the_answer_comes_as_it_is_and_its_usage_counts() -> None:
    async def scene() -> None:
        house = House(Reply((0, COMPACTED)))
        assert await compact(house, model=OWN, input="a long story") == COMPACTED
        assert house.transport.requests[0].target == b"/v1/responses/compact"
        assert house.asked() == {"model": "small", "input": "a long story"}
        assert house.call.usage is not None
        assert house.call.usage.total_tokens == 11
        assert house.responses.log == []

    jump(scene())


def test_what_it_goes_on_from_is_sent_along() -> None:
    async def scene() -> None:
        house = House(own_answer(message("one")), Reply((0, COMPACTED)))
        first = await house.run(model=OWN, input="a")
        await compact(house, model=OWN, input="b", previous_response_id=first["id"])
        asked = house.asked()
        assert "previous_response_id" not in asked
        assert [item["role"] for item in asked["input"]] == ["user", "assistant", "user"]

    jump(scene())


def test_a_provider_of_another_protocol_has_none() -> None:
    async def scene() -> None:
        house = House()
        with pytest.raises(InvalidRequest, match=CHAT) as refusal:
            await compact(house, model=CHAT)
        assert (refusal.value.code, refusal.value.param) == ("unsupported_endpoint", "model")
        assert house.transport.requests == []

    jump(scene())


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (refused(400, message="too short"), UpstreamRefused),
        (refused(500), UpstreamFailed),
        (Reply((0, b"{}")), UpstreamFailed),
        (Reply((0, msgspec.json.encode({**decoded(COMPACTED), "status": "failed"}))), UpstreamFailed),
    ],
)
def test_what_the_provider_refuses_is_told(reply: Reply, kind: type[TrunklineError]) -> None:
    async def scene() -> None:
        house = House(reply)
        with pytest.raises(kind):
            await compact(house, model=OWN)
        assert [name for name, _ in house.ledger.attempts] == [OWN]

    jump(scene())
