"""Forwarded calls: the steps of every call, answers of any kind, forms on their way, and vectors in one piece."""

from __future__ import annotations

import asyncio
import base64
import struct
from typing import Any

import msgspec
import pytest

from tests.pipeline.charged import ChargedLedger, ChargedStore, tenancy
from tests.pipeline.endpoints import EVERYTHING, FORM_TYPE, Caller, ForwardingHouse, kind
from tests.pipeline.scripted import Reply, key_table, refused, whole
from tests.pipeline.test_relay import jump
from tests.pipeline.test_upload import END, MEGABYTE, MODEL, part
from tests.wire.test_multipart import parts_of
from tests.wire.test_passage import COMPLETED, PARTIAL
from trunkline import errors
from trunkline.catalog.prices import Price
from trunkline.catalog.provider_row import Endpoint
from trunkline.money import Nanos, NanosPerMillion
from trunkline.pipeline import forward
from trunkline.pipeline.funds import Funds
from trunkline.pipeline.treasury import BudgetsOptions, LedgerOptions, Treasury
from trunkline.policy.metering import tariff_of
from trunkline.providers.endpoint_request import PATHS
from trunkline.wire.multipart import read_boundary
from trunkline.wire.usage import Usage

JSON_ENDPOINTS: list[Endpoint] = ["images", "speech", "moderations", "rerank"]
FORMS: list[Endpoint] = ["image_edits", "transcriptions", "translations"]
ANSWER = b'{"created":1,"data":[{"b64_json":"AAAA"}],"usage":{"input_tokens":5,"output_tokens":7,"total_tokens":12}}'
SOUND = b"ID3\x00\xff" * 1000


def asking(model: str = "any", **fields: Any) -> Caller:
    return Caller(msgspec.json.encode({"model": model, **fields}))


def form(*parts: bytes, model: str = "any", size: int = 65_536) -> Caller:
    return Caller(b"".join((part("model", model.encode()), *parts, END)), FORM_TYPE, size)


def sent_form(house: ForwardingHouse, place: int = -1) -> list[tuple[str, bytes]]:
    request = house.transport.requests[place]
    content_type = dict(request.headers)[b"content-type"].decode()
    return [(name, value) for name, _, _, value in parts_of(house.transport.bodies[place], read_boundary(content_type))]


@pytest.mark.parametrize("endpoint", JSON_ENDPOINTS)
async def test_a_request_goes_to_its_path_and_the_answer_comes_back(endpoint: Endpoint) -> None:
    house = await ForwardingHouse(Reply((0, ANSWER), headers=kind(b"application/json"))).run(
        endpoint, asking(prompt="a  b", n=1)
    )
    assert house.answer == ANSWER
    request = house.transport.requests[0]
    assert (request.origin.host, request.target) == ("one.example", b"/v1" + PATHS[endpoint])
    assert request.body == b'{"model":"small","prompt":"a  b","n":1}'
    assert dict(request.headers)[b"authorization"] == b"Bearer key-of-one"
    assert dict(request.headers)[b"traceparent"] == b"00-1"
    assert house.ledger.attempts == [("one/small", None)]
    assert house.call.is_decided


@pytest.mark.parametrize("endpoint", FORMS)
async def test_a_form_goes_to_its_path_with_the_providers_model(endpoint: Endpoint) -> None:
    house = await ForwardingHouse(whole(b'{"text":"hi"}')).run(endpoint, form(part("file", b"abc", "a.wav")))
    assert house.answer == b'{"text":"hi"}'
    assert house.transport.requests[0].target == b"/v1" + PATHS[endpoint]
    assert house.transport.requests[0].stream_body is None
    assert sent_form(house) == [("model", b"small"), ("file", b"abc")]


async def test_image_edits_may_be_json_and_other_forms_may_not() -> None:
    house = await ForwardingHouse(whole(ANSWER)).run("image_edits", asking(images=[{"image_url": "x"}]))
    assert house.answer == ANSWER
    refused = await ForwardingHouse().run("transcriptions", asking(file="x"))
    assert isinstance(refused.error, errors.UnsupportedMediaType)


async def test_what_was_used_is_read_of_the_answer() -> None:
    house = await ForwardingHouse(whole(ANSWER)).run("images", asking())
    assert house.call.usage == Usage(input_tokens=5, output_tokens=7)
    seconds = await ForwardingHouse(whole(b'{"text":"a","usage":{"type":"duration","seconds":3}}')).run(
        "transcriptions", form()
    )
    assert (seconds.answer is not None, seconds.call.usage) == (True, None)


async def test_a_moderation_needs_no_model() -> None:
    house = await ForwardingHouse(whole(b'{"results":[]}')).run("moderations", Caller(b'{"input":"x"}'))
    assert house.transport.bodies == [b'{"input":"x","model":"moderate"}']
    nameless = await ForwardingHouse().run("images", Caller(b'{"prompt":"x"}'))
    assert nameless.error is not None
    assert (nameless.error.param, nameless.error.code) == ("model", "missing_required_parameter")


@pytest.mark.parametrize("endpoint", EVERYTHING)
async def test_a_provider_that_lacks_the_endpoint_is_named_or_passed_over(endpoint: Endpoint) -> None:
    def caller(model: str) -> Caller:
        return form(model=model) if endpoint in FORMS else asking(model, input="x")

    house = await ForwardingHouse().run(endpoint, caller("none"))
    assert isinstance(house.error, errors.InvalidRequest)
    assert (house.error.code, house.error.param) == ("unsupported_endpoint", "model")
    assert f"/v1{PATHS[endpoint].decode()}" in house.error.message
    assert "three" in house.error.message
    assert house.transport.requests == []
    data = b'{"data":[{"embedding":[1],"index":0}]}'
    mixed = await ForwardingHouse(whole(data)).run(endpoint, caller("mixed"))
    assert (mixed.error, mixed.transport.asked) == (None, ["one"])


async def test_what_fails_goes_to_the_next_and_what_is_refused_does_not() -> None:
    house = await ForwardingHouse(refused(503), whole(ANSWER)).run("images", asking())
    assert (house.answer, house.transport.asked, house.call.attempts) == (ANSWER, ["one", "two"], 2)
    assert house.ledger.attempts == [("one/small", "UpstreamOverloaded"), ("two/small", None)]
    bad = await ForwardingHouse(refused(400, "bad_size")).run("images", asking())
    assert isinstance(bad.error, errors.UpstreamRefused)
    assert (bad.error.code, bad.transport.asked) == ("bad_size", ["one"])
    hidden = b'{"error":{"message":"later","code":503}}'
    later = await ForwardingHouse(whole(hidden), whole(b"<html>"), keys=key_table()).run("images", asking())
    assert isinstance(later.error, errors.UpstreamFailed)
    assert [name for _, name in later.ledger.attempts] == ["UpstreamOverloaded", "UpstreamFailed"]


async def test_keys_and_unknown_models() -> None:
    house = await ForwardingHouse(keys=key_table("two/*")).run("images", asking("one/small"))
    assert isinstance(house.error, errors.Forbidden)
    unknown = await ForwardingHouse().run("embeddings", asking("nowhere/x", input="a"))
    assert isinstance(unknown.error, errors.NotFound)
    uploading = form(part("file", b"x", "a"), model="nowhere/x")
    assert isinstance((await ForwardingHouse().run("translations", uploading)).error, errors.NotFound)


async def test_a_bug_of_ours_answers_the_caller() -> None:
    house = await ForwardingHouse(ZeroDivisionError("ours")).run("images", asking())
    assert isinstance(house.error, errors.Defect)
    assert isinstance(house.error.__cause__, ZeroDivisionError)


async def test_the_model_that_was_asked_for_is_shown_where_the_settings_want_it() -> None:
    answer = b'{"model":"small","results":[]}'
    house = await ForwardingHouse(whole(answer), restamp_model=True).run("rerank", asking())
    assert house.answer == b'{"model":"any","results":[]}'
    nameless = await ForwardingHouse(whole(ANSWER), restamp_model=True).run("images", asking())
    assert nameless.answer == ANSWER


# Answers that are not JSON.


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        (b"audio/mpeg", b"audio/mpeg"),
        (b"Audio/WAV; rate=24000", b"audio/wav; rate=24000"),
        (b"", b"application/octet-stream"),
        (b"text/html", b"application/octet-stream"),
        (b"audio/" + b"x" * 200, b"application/octet-stream"),
        (b"audio/\xff", b"application/octet-stream"),
    ],
)
async def test_sound_passes_as_it_comes(said: bytes, shown: bytes) -> None:
    caller = asking(input="hi", voice="alloy")
    reply = Reply((0, SOUND), (0, b"more"), headers=[*kind(said), (b"content-length", b"5004")] if said else [])
    house = await ForwardingHouse(reply).run("speech", caller)
    assert (house.answer, house.error, caller.kind) == (None, None, shown)
    assert caller.length == (5004 if said else None)
    assert caller.writes == [SOUND, b"more"]
    assert house.call.first_event_at
    assert house.transport.requests[0].streaming


async def test_sound_that_breaks_off_is_an_error_and_before_its_first_byte_another_attempt() -> None:
    caller = asking()
    cut = Reply((0, SOUND), (0, errors.StreamCut("broken")), headers=kind(b"audio/mpeg"))
    house = await ForwardingHouse(cut, whole(SOUND)).run("speech", caller)
    assert isinstance(house.error, errors.StreamCut)
    assert (caller.writes, house.transport.asked) == ([SOUND], ["one"])
    early = Reply((0, errors.StreamCut("broken")), headers=kind(b"audio/mpeg"))
    second = asking()
    again = await ForwardingHouse(early, Reply((0, SOUND), headers=kind(b"audio/mpeg"))).run("speech", second)
    assert (again.error, second.writes, again.transport.asked) == (None, [SOUND], ["one", "two"])


async def test_a_transcription_may_be_plain_text() -> None:
    caller = form(part("response_format", b"srt"), part("file", b"x", "a"))
    house = await ForwardingHouse(Reply((0, b"1\n00:00"), headers=kind(b"text/plain; charset=utf-8"))).run(
        "transcriptions", caller
    )
    assert (house.error, caller.kind, caller.writes) == (None, b"text/plain; charset=utf-8", [b"1\n00:00"])


async def test_what_can_only_be_json_is_not_passed_on_as_anything_else() -> None:
    caller = asking()
    page = [Reply((0, b"<html>"), headers=kind(b"text/html")) for _ in range(2)]
    house = await ForwardingHouse(*page).run("images", caller)
    assert isinstance(house.error, errors.UpstreamFailed)
    assert caller.writes == []


async def test_events_pass_one_by_one() -> None:
    caller = asking(stream=True, prompt="x")
    events = Reply((0, PARTIAL + COMPLETED[:20]), (0, COMPLETED[20:]), headers=kind(b"text/event-stream"))
    house = await ForwardingHouse(events).run("images", caller)
    assert (house.error, caller.kind, caller.writes) == (None, b"text/event-stream", [PARTIAL, COMPLETED])
    assert house.call.usage == Usage(input_tokens=7, output_tokens=9)
    assert house.call.stream
    assert dict(house.transport.requests[0].headers)[b"accept"] == b"*/*"


async def test_an_error_as_the_first_event_is_another_attempt_and_later_the_end() -> None:
    failed = b'data: {"type":"error","error":{"message":"busy","code":"503"}}\n\n'
    events = kind(b"text/event-stream")
    caller = asking(stream=True)
    house = await ForwardingHouse(Reply((0, failed), headers=events), Reply((0, COMPLETED), headers=events)).run(
        "images", caller
    )
    assert (house.error, house.transport.asked, caller.writes) == (None, ["one", "two"], [COMPLETED])
    late = asking(stream=True)
    ended = await ForwardingHouse(Reply((0, PARTIAL + failed), headers=events)).run("images", late)
    assert ended.error is not None
    # What came before the error in the same bytes is sent only once something is out.
    assert late.writes == []
    later = asking(stream=True)
    broken = await ForwardingHouse(Reply((0, PARTIAL), (0, failed), headers=events)).run("images", later)
    assert (broken.error is not None, later.writes, broken.transport.asked) == (True, [PARTIAL], ["one"])


async def test_a_stream_asked_for_behind_the_file_is_a_stream() -> None:
    caller = form(part("file", 2 * MEGABYTE, "a"), part("stream", b"true"))
    house = await ForwardingHouse(Reply((0, COMPLETED), headers=kind(b"text/event-stream"))).run(
        "transcriptions", caller
    )
    assert (house.error, caller.kind, caller.writes) == (None, b"text/event-stream", [COMPLETED])


async def test_a_stream_that_was_asked_for_and_is_none() -> None:
    caller = asking(stream=True)
    house = await ForwardingHouse(Reply((0, ANSWER), headers=kind(b"application/json"))).run("images", caller)
    assert (house.answer, house.error, caller.kind) == (ANSWER, None, None)
    sound = asking(stream_format="sse")
    replies = [Reply((0, SOUND), headers=kind(b"audio/mpeg")) for _ in range(2)]
    assert isinstance((await ForwardingHouse(*replies).run("speech", sound)).error, errors.UpstreamFailed)


def test_a_silent_stream_gives_signs_of_life() -> None:
    async def scene() -> None:
        caller = asking(stream=True)
        reply = Reply((40, COMPLETED), headers=kind(b"text/event-stream"), head_s=5)
        house = await ForwardingHouse(reply).run("images", caller)
        assert house.error is None
        assert caller.writes == [b": keep-alive\n\n"] * 3 + [COMPLETED]
        # Once headers are out, an answer that is no stream comes too late.
        late = asking(stream=True)
        replies = [Reply((0, ANSWER), headers=kind(b"application/json"), head_s=20) for _ in range(2)]
        assert isinstance((await ForwardingHouse(*replies).run("images", late)).error, errors.UpstreamFailed)

    jump(scene())


def test_nothing_is_said_while_a_form_is_still_on_its_way() -> None:
    async def scene() -> None:
        caller = form(part("stream", b"true"), part("file", 2 * MEGABYTE, "a"))
        caller.pause_s = 3
        house = await ForwardingHouse(Reply((20, COMPLETED), headers=kind(b"text/event-stream"))).run(
            "transcriptions", caller
        )
        assert (house.error, caller.writes) == (None, [b": keep-alive\n\n", COMPLETED])

    jump(scene())


# Forms on their way.


async def test_a_large_form_is_streamed() -> None:
    caller = form(part("file", 3 * MEGABYTE, "a"))
    house = await ForwardingHouse(whole(b'{"text":"hi"}')).run("transcriptions", caller)
    request = house.transport.requests[0]
    assert (house.error, request.stream_body is None, request.stream_length) == (None, False, None)
    assert sent_form(house) == [("model", b"small"), ("file", 3 * MEGABYTE)]
    # The caller may take his time, and so may who listens to an hour of sound.
    assert request.timers.first_byte_s == request.timers.total_s


async def test_a_form_that_is_here_may_be_sent_to_the_next_provider() -> None:
    small = await ForwardingHouse(refused(503), whole(b'{"text":"hi"}')).run("transcriptions", form())
    assert (small.error, small.transport.asked) == (None, ["one", "two"])
    behind = Caller(part("file", 2 * MEGABYTE, "a") + part("model", b"any") + END, FORM_TYPE)
    aside = await ForwardingHouse(refused(503), whole(b'{"text":"hi"}')).run("transcriptions", behind)
    assert (aside.error, aside.transport.asked) == (None, ["one", "two"])
    assert [request.stream_length for request in aside.transport.requests] == [
        len(body) for body in aside.transport.bodies
    ]
    assert sent_form(aside) == [("file", 2 * MEGABYTE), ("model", b"small")]


@pytest.mark.parametrize(("takes", "asked"), [(0, ["one", "two"]), (1, ["one", "two"]), (2, ["one"])])
async def test_a_form_that_has_begun_to_go_through_goes_nowhere_else(takes: int, asked: list[str]) -> None:
    house = ForwardingHouse(refused(503), refused(503), takes=takes)
    await house.run("transcriptions", form(part("file", 3 * MEGABYTE, "a")))
    assert isinstance(house.error, errors.UpstreamOverloaded)
    assert house.transport.asked == asked


@pytest.mark.parametrize("rest", [MODEL + END, b""])
async def test_a_form_that_turns_out_to_be_none_on_its_way_is_refused(rest: bytes) -> None:
    caller = Caller(part("model", b"any") + part("file", 3 * MEGABYTE, "a") + rest, FORM_TYPE)
    house = await ForwardingHouse(whole()).run("transcriptions", caller)
    assert isinstance(house.error, errors.InvalidRequest)


async def test_a_caller_who_leaves_in_the_middle() -> None:
    caller = form(part("file", 3 * MEGABYTE, "a"))
    caller._body = caller._body[:-1000]
    caller.then = errors.ClientGone("gone")
    house = await ForwardingHouse(whole()).run("transcriptions", caller)
    assert isinstance(house.error, errors.ClientGone)
    stalled = form(part("file", 3 * MEGABYTE, "a"))
    stalled._body = stalled._body[:-1000]
    stalled.then = asyncio.Event()
    second = ForwardingHouse(whole())
    running = asyncio.create_task(second.run("transcriptions", stalled))
    async with asyncio.timeout(5):
        while stalled.asked < 40:
            await asyncio.sleep(0)
    stalled.gone = True
    running.cancel()
    assert isinstance((await running).error, errors.ClientGone)


async def test_too_large_a_file_before_its_model() -> None:
    caller = Caller(part("file", 5 * MEGABYTE, "a") + part("model", b"any") + END, FORM_TYPE)
    house = await ForwardingHouse(put_aside_bytes=1_000_000).run("transcriptions", caller)
    assert isinstance(house.error, errors.BodyTooLarge)
    assert house.transport.requests == []


# Embeddings.


def vectors(*values: float, index: bool = True, packed: bool = False, tokens: int = 1) -> Reply:
    def written(value: float) -> Any:
        return base64.b64encode(struct.pack("<f", value)).decode() if packed else [value]

    data = [
        {"object": "embedding", "embedding": written(value), **({"index": place} if index else {})}
        for place, value in enumerate(values)
    ]
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return whole(msgspec.json.encode({"object": "list", "data": data, "model": "small", "usage": usage}))


def shown(house: ForwardingHouse) -> list[Any]:
    assert house.answer is not None
    said = msgspec.json.decode(house.answer)
    assert [item["index"] for item in said["data"]] == list(range(len(said["data"])))
    return [item["embedding"] for item in said["data"]]


async def test_vectors_come_back_as_the_provider_wrote_them() -> None:
    reply = whole(b'{"data": [{"embedding": [1.50],"index":0}],"usage":{"prompt_tokens":3,"total_tokens":3}}')
    house = await ForwardingHouse(reply).run("embeddings", asking(input="x", dimensions=1))
    assert house.answer == b'{"data": [{"embedding": [1.50],"index":0}],"usage":{"prompt_tokens":3,"total_tokens":3}}'
    assert house.transport.bodies == [b'{"model":"small","input":"x","dimensions":1}']
    assert house.call.usage == Usage(input_tokens=3, output_tokens=0)


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("asked", ["float", "base64"])
async def test_vectors_come_in_the_encoding_that_was_asked_for(asked: str, packed: bool) -> None:
    house = await ForwardingHouse(vectors(0.5, 2, packed=packed)).run(
        "embeddings", asking(input=["a", "b"], encoding_format=asked)
    )
    packed_values = [base64.b64encode(struct.pack("<f", value)).decode() for value in (0.5, 2)]
    assert shown(house) == (packed_values if asked == "base64" else [[0.5], [2.0]])


async def test_more_inputs_than_a_provider_takes_are_several_requests_and_one_answer() -> None:
    replies = [vectors(1, 2, 3), vectors(4, 5, 6, packed=True), vectors(7, tokens=5)]
    texts = [f"t{number}" for number in range(7)]
    house = await ForwardingHouse(*replies).run("embeddings", asking("few", input=texts, user="u"))
    assert shown(house) == [[1], [2], [3], [4], [5], [6], [7]]
    said = msgspec.json.decode(house.answer or b"")
    assert said["usage"] == {"prompt_tokens": 7, "total_tokens": 7}
    assert house.call.usage == Usage(input_tokens=7, output_tokens=0)
    bodies = [msgspec.json.decode(body) for body in house.transport.bodies]
    assert [body["input"] for body in bodies] == [texts[:3], texts[3:6], texts[6:]]
    assert all("user" not in body for body in bodies)
    assert house.call.warnings == ["dropped user: not supported by few/small"]
    assert (house.call.attempts, house.ledger.attempts) == (1, [("few/small", None)])


def test_parts_are_asked_for_side_by_side_and_no_more_than_some_at_once() -> None:
    async def scene() -> None:
        replies = [vectors(1, 2, 3) for _ in range(8)]
        for reply in replies:
            reply.head_s = 10
        started = asyncio.get_running_loop().time()
        house = await ForwardingHouse(*replies).run("embeddings", asking("few", input=["t"] * 24))
        assert house.error is None
        took = asyncio.get_running_loop().time() - started
        assert took == pytest.approx(10 * 8 / forward.PARTS_AT_ONCE)

    jump(scene())


def test_a_part_that_fails_ends_the_others() -> None:
    async def scene() -> None:
        replies = [vectors(1, 2, 3), refused(400, "bad", "one of them is too long"), vectors(1, 2, 3), vectors(1)]
        replies[0].head_s = replies[2].head_s = replies[3].head_s = 100
        started = asyncio.get_running_loop().time()
        house = await ForwardingHouse(*replies).run("embeddings", asking("few", input=["t"] * 10))
        assert isinstance(house.error, errors.UpstreamRefused)
        assert (house.error.message, house.answer) == ("one of them is too long", None)
        assert asyncio.get_running_loop().time() - started < 1

    jump(scene())


async def test_too_few_vectors_are_no_answer() -> None:
    house = await ForwardingHouse(vectors(1), vectors(1, 2)).run("embeddings", asking(input=["a", "b"]))
    assert (house.error, house.transport.asked) == (None, ["one", "two"])
    assert shown(house) == [[1], [2]]


async def test_dimensions_that_a_provider_refuses_are_its_words() -> None:
    house = await ForwardingHouse(refused(400, None, "This model does not support dimensions.")).run(
        "embeddings", asking(input="x", dimensions=7)
    )
    assert isinstance(house.error, errors.UpstreamRefused)
    assert house.error.message == "This model does not support dimensions."


MTOK = NanosPerMillion(10**9)
DEAR = NanosPerMillion(6 * 10**9)
PRICED = Price(version="v", input=MTOK, output=DEAR, audio_output=DEAR, audio_input=MTOK, image=Nanos(500))


def charged(*script: Reply) -> tuple[ForwardingHouse, ChargedStore]:
    """Where a token of input costs 1,000 nano-dollars, one of output 6,000, a picture 500."""
    house, store = ForwardingHouse(*script), ChargedStore({})
    for name in ("one/small", "two/small"):
        house.pipeline.settings.tariffs[name, 0] = tariff_of(PRICED)
    ledger = ChargedLedger(store, 0, asyncio.get_running_loop())
    house.pipeline.treasury = Treasury(ledger, Funds(ledger), tenancy(), BudgetsOptions, LedgerOptions)
    return house, store


SPOKEN = 4 * len('"hello there"') // 3


@pytest.mark.parametrize(
    ("script", "tokens"),
    [
        ([(0, SOUND)], SPOKEN),
        ([(0, SOUND[:9]), (0, errors.StreamCut("gone"))], SPOKEN),
        ([(0, errors.StreamCut("gone"))], None),
    ],
)
async def test_sound_costs_what_was_to_be_spoken(script: list[Any], tokens: int | None) -> None:
    """Nobody counts it, so it is estimated, once any of it has gone out."""
    house, store = charged(Reply(*script, headers=kind(b"audio/mpeg")), Reply(*script, headers=kind(b"audio/mpeg")))
    await house.run("speech", asking(input="hello there"))
    await asyncio.sleep(0)
    if tokens is None:
        assert store.journal == ["released 1, released 2"]
        return
    ended = store.entries[-1]
    assert (ended.estimated, ended.output_tokens, ended.output_audio_tokens) == (True, tokens, tokens)
    assert ended.cost_nanos == ended.input_tokens * 1000 + tokens * 6000 <= ended.held_nanos


async def test_subtitles_cost_what_was_written() -> None:
    house, store = charged(Reply((0, b"WEBVTT" + b"x" * 34), headers=kind(b"text/vtt")))
    await house.run("transcriptions", form(part("file", b"abc", "a.wav")))
    assert (store.entries[-1].output_tokens, store.entries[-1].estimated) == (10, True)


@pytest.mark.parametrize("streamed", [False, True])
async def test_pictures_are_counted(streamed: bool) -> None:
    events = PARTIAL + COMPLETED
    reply = Reply((0, events), headers=kind(b"text/event-stream")) if streamed else whole(ANSWER)
    house, store = charged(reply)
    await house.run("images", asking(prompt="sea", stream=streamed))
    ended = store.entries[-1]
    assert (ended.state, ended.images, ended.estimated) == ("settled", 1, False)
    assert ended.cost_nanos == ended.input_tokens * 1000 + ended.output_tokens * 6000 + 500


async def test_vectors_cost_their_input() -> None:
    answer = b'{"data":[{"embedding":[1],"index":0}],"usage":{"prompt_tokens":7,"total_tokens":7}}'
    house, store = charged(whole(answer))
    await house.run("embeddings", asking(input="hi"))
    assert (store.journal, store.entries[-1].input_tokens) == (["settled 1: 7000"], 7)
    assert b'"cost":0.000007' in (house.answer or b"")
