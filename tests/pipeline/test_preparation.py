from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.pipeline.kept import House, body, events_of, said
from tests.pipeline.scripted import KEY, NOBODY, ScriptedClient
from tests.pipeline.test_relay import jump
from trunkline import clock
from trunkline.errors import NotFound, Unauthenticated
from trunkline.pipeline.preparation import prepare


@pytest.fixture(autouse=True)
def _held_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "monotonic_s", lambda: asyncio.get_running_loop().time())


def test_what_is_prepared_is_gone_on_from_and_no_provider_is_asked() -> None:
    async def scene() -> None:
        house = House(said("one"))
        keeper = house.keeper.of_connection()
        client = ScriptedClient(body(input="a long prompt", store=False))
        events = events_of(await prepare(house.pipeline, keeper, house.new_call(), client))
        assert house.transport.requests == []
        assert [event["type"] for event in events] == [
            "response.created",
            "response.in_progress",
            "response.completed",
        ]
        response = events[-1]["response"]
        assert (response["output"], response["usage"]["total_tokens"]) == ([], 0)
        await house.run(keeper, input="go", store=False, previous_response_id=response["id"])
        assert [turn["content"] for turn in house.asked()["messages"]] == ["a long prompt", "go"]
        assert house.responses.log == []

    jump(scene())


def test_what_would_be_refused_is_refused() -> None:
    async def scene() -> None:
        house = House()

        async def preparing(credential: str = KEY, **fields: Any) -> None:
            client = ScriptedClient(body(**fields), credential=credential)
            await prepare(house.pipeline, house.keeper, house.new_call(), client)

        with pytest.raises(Unauthenticated):
            await preparing(NOBODY)
        with pytest.raises(NotFound):
            await preparing(model="nobody/nothing")
        assert house.responses.log == []

    jump(scene())
