"""A call from key to record: providers follow a script, the clock jumps, and every ending is looked at."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import msgspec
import pytest

from tests.pipeline.scripted import (
    ANSWER,
    HELLO,
    KEY,
    NOBODY,
    STREAM,
    Played,
    Reply,
    ScriptedClient,
    good,
    key_table,
    new_call,
    pipeline,
    refused,
    whole,
)
from tests.pipeline.test_relay import (
    COMMENT,
    DONE,
    FINISH,
    FINISH_WITH_USAGE,
    ROLE,
    TEXT,
    jump,
    seconds,
)
from trunkline import clock, errors
from trunkline.errors import ClientGone, Defect, TrunklineError
from trunkline.pipeline import protocols
from trunkline.pipeline.call import Call
from trunkline.providers.transport import Headers


@pytest.fixture(autouse=True)
def _held_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "monotonic_s", lambda: asyncio.get_running_loop().time())


def play(scene: Callable[[], Awaitable[None]]) -> None:
    async def playing() -> None:
        await scene()
        assert len(asyncio.all_tasks()) == 1, "a task was left behind"

    jump(playing())


def test_a_whole_answer_crosses_byte_for_byte() -> None:
    async def scene() -> None:
        odd = ANSWER.replace(b'"usage"', b'"x_own" : [1.50, "\\u00e9"],\n "usage"')
        played = await Played(whole(odd)).run()
        assert played.answer == odd
        assert played.client.log == []
        assert played.ledger.attempts == [("one/small", None)]
        call = played.call
        assert call.usage is not None
        assert (call.usage.input_tokens, call.usage.output_tokens) == (3, 1)
        assert call.key is not None
        assert call.route is not None
        assert (call.key.key_id, call.route.asked, call.stream) == ("key_1", "any", False)

    play(scene)


def test_a_stream_is_relayed() -> None:
    async def scene() -> None:
        played = await Played(good()).run(STREAM)
        assert played.answer is None
        assert played.error is None
        assert played.client.log == [(0, b""), (0, ROLE + TEXT), (1, FINISH_WITH_USAGE + DONE)]
        assert played.ledger.attempts == [("one/small", None)]
        assert played.call.usage is not None
        assert (played.call.stream, played.call.attempts) == (True, 1)

    play(scene)


# What a provider does -> the error that is recorded, and whether another is asked.
FAILURES: list[tuple[Callable[[], Reply | Exception], str, bool]] = [
    (lambda: refused(400), "UpstreamRefused", False),
    (lambda: refused(404), "UpstreamRefused", False),
    (lambda: refused(413), "UpstreamRefused", False),
    (lambda: refused(422), "UpstreamRefused", False),
    (lambda: refused(401), "UpstreamAccount", True),
    (lambda: refused(402), "UpstreamAccount", True),
    (lambda: refused(403), "UpstreamAccount", True),
    (lambda: refused(429, "insufficient_quota"), "UpstreamAccount", True),
    (lambda: refused(429), "UpstreamRateLimited", True),
    (lambda: refused(408), "UpstreamTimeout", True),
    (lambda: refused(504), "UpstreamTimeout", True),
    (lambda: refused(409), "UpstreamOverloaded", True),
    (lambda: refused(503), "UpstreamOverloaded", True),
    (lambda: refused(529), "UpstreamOverloaded", True),
    (lambda: refused(302), "UpstreamFailed", True),
    (lambda: refused(500), "UpstreamFailed", True),
    (lambda: refused(204), "UpstreamFailed", True),
    (lambda: errors.UpstreamFailed("no connection"), "UpstreamFailed", True),
    (lambda: errors.UpstreamTimeout("no headers"), "UpstreamTimeout", True),
    (lambda: errors.Unavailable("full", code="pool_exhausted"), "Unavailable", True),
    # The status alone says which refusal it is, whatever becomes of the body.
    (lambda: Reply((1, errors.StreamCut("cut")), status=500), "UpstreamFailed", True),
    (lambda: Reply((1, errors.UpstreamTimeout("slow")), status=429), "UpstreamRateLimited", True),
    (lambda: Reply((1, b'{"error":{"message":"' + b"long" * 50_000), status=422), "UpstreamRefused", False),
    (lambda: whole(b'{"error":{"message":"over","code":503}}'), "UpstreamOverloaded", True),
    (lambda: whole(b'{"error":{"message":"bad","code":400}}'), "UpstreamRefused", False),
    (lambda: whole(b'{"error":"boom"}'), "UpstreamFailed", True),
    (lambda: Reply((1, errors.StreamCut("cut"))), "StreamCut", True),
    (lambda: Reply((1, errors.UpstreamTimeout("slow"))), "UpstreamTimeout", True),
]
WHOLE_FAILURES: list[tuple[Callable[[], Reply | Exception], str, bool]] = [
    (lambda: whole(b"<html>"), "UpstreamFailed", True),
    (lambda: whole(b'{"choices":null}'), "UpstreamFailed", True),
    (lambda: whole(b""), "UpstreamFailed", True),
]
# An error inside the stream is read as one inside a whole answer.
STREAM_FAILURES: list[tuple[Callable[[], Reply | Exception], str, bool]] = [
    (lambda: Reply((0, b'data: {"error":{"message":"over","code":503}}\n\n')), "UpstreamOverloaded", True),
    (lambda: Reply((0, b'data: {"error":{"message":"bad","code":400}}\n\n')), "UpstreamRefused", False),
    (lambda: Reply((0, b"data: nonsense\n\n")), "UpstreamFailed", True),
    (lambda: Reply((0, DONE)), "StreamCut", True),
    (lambda: Reply((0, b"")), "StreamCut", True),
]


@pytest.mark.parametrize(
    ("failure", "kind", "goes_on", "body"),
    [(*row, HELLO) for row in FAILURES + WHOLE_FAILURES] + [(*row, STREAM) for row in FAILURES + STREAM_FAILURES],
)
def test_what_follows_a_failure(
    failure: Callable[[], Reply | Exception], kind: str, goes_on: bool, body: bytes
) -> None:
    async def scene() -> None:
        second = good() if body is STREAM else whole()
        played = await Played(failure(), second).run(body)
        if goes_on:
            assert played.error is None
            assert played.transport.asked == ["one", "two"]
            assert played.ledger.attempts == [("one/small", kind), ("two/small", None)]
            if body is STREAM:
                assert played.client.written == ROLE + TEXT + FINISH_WITH_USAGE + DONE
            else:
                assert played.answer == ANSWER
        else:
            assert type(played.error).__name__ == kind
            assert played.transport.asked == ["one"]
            assert played.client.log == []

    play(scene)


def test_every_deployment_is_tried_once_and_the_last_error_is_told() -> None:
    async def scene() -> None:
        for body in (HELLO, STREAM):
            played = await Played(refused(500), refused(503), refused(429)).run(body)
            assert played.transport.asked == ["one", "two", "three"]
            assert isinstance(played.error, errors.UpstreamRateLimited)
            assert played.client.log == []

    play(scene)


@pytest.mark.parametrize(
    ("failure", "asked"),
    [
        (lambda: refused(401), ["one", "two"]),
        (lambda: refused(402), ["one", "two"]),
        (lambda: refused(429, "insufficient_quota"), ["one", "two"]),
        (lambda: refused(403), ["one", "one"]),  # which may be about the model alone
        (lambda: refused(429), ["one", "one"]),
        (lambda: refused(500), ["one", "one"]),
    ],
)
def test_trouble_with_an_account_is_not_met_twice(failure: Callable[[], Reply], asked: list[str]) -> None:
    async def scene() -> None:
        played = Played(failure(), whole())
        aliases = {"any": ("one/small", "one/large", "two/small")}
        played.pipeline = pipeline(played.transport, played.ledger, aliases=aliases)
        await played.run()
        assert played.transport.asked == asked
        only_one = Played(refused(401))
        only_one.pipeline = pipeline(
            only_one.transport, only_one.ledger, aliases={"any": ("one/small", "one/large", "one/huge")}
        )
        await only_one.run()
        assert isinstance(only_one.error, errors.UpstreamAccount)

    play(scene)


@pytest.mark.parametrize(
    "break_off",
    [
        (1.0, b"data: nonsense\n\n"),
        (1.0, errors.StreamCut("cut")),
        (1.0, b'data: {"error":{"code":503}}\n\n'),
        (1.0, b""),
    ],
)
def test_after_the_first_event_there_is_no_other_attempt(break_off: tuple[float, bytes | Exception]) -> None:
    async def scene() -> None:
        played = await Played(Reply((0, ROLE + TEXT), break_off), good()).run(STREAM)
        assert isinstance(played.error, errors.UpstreamError)
        assert played.transport.asked == ["one"]
        assert played.client.log == [(0, b""), (0, ROLE + TEXT)]

    play(scene)


def test_a_comment_is_no_event() -> None:
    """Headers and a comment are with the caller; another attempt is possible all the same, and he sees one answer."""

    async def scene() -> None:
        played = await Played(Reply((20, errors.StreamCut("cut"))), good(first_s=12)).run(STREAM)
        assert played.error is None
        assert played.transport.asked == ["one", "two"]
        assert played.client.log == [
            (14.5, b""),
            (14.5, COMMENT),
            (29.0, COMMENT),
            (32, ROLE + TEXT),
            (33, FINISH_WITH_USAGE + DONE),
        ]
        silent = Reply((0, b""), head_s=100)
        assert isinstance((await Played(silent, silent, silent).run(STREAM)).error, errors.StreamCut)

    play(scene)


class Watching(ScriptedClient):
    """Notes, when the headers go out, whether it is known who answers."""

    call: Call
    decided: bool | None = None

    async def start(self) -> None:
        self.decided = self.call.is_decided
        await super().start()


def test_facts_are_told_only_once_they_cannot_change() -> None:
    async def scene() -> None:
        for first, decided in ((1.0, True), (20.0, False)):
            played = Played(Reply((first, errors.StreamCut("cut"))), good())
            client = Watching(STREAM)
            call = client.call = new_call()
            await played.pipeline.run(call, client, protocols.CHAT)
            assert client.decided is decided
            assert call.is_decided
        failed = await Played(refused(400)).run(STREAM)
        assert failed.call.is_decided
        unknown = await Played().run(b"{}")
        assert not unknown.call.is_decided

    play(scene)


REFUSALS: list[tuple[bytes, str, type[TrunklineError]]] = [
    (HELLO, "", errors.Unauthenticated),
    (HELLO, NOBODY, errors.Unauthenticated),
    (b"{", KEY, errors.InvalidRequest),
    (b"[]", KEY, errors.InvalidRequest),
    (HELLO.replace(b'"any"', b'"none/such"'), KEY, errors.NotFound),
    (HELLO.replace(b'"any"', b'"two/small"'), KEY, errors.Forbidden),
    (HELLO[:-1] + b',"model":"any"}', KEY, errors.InvalidRequest),
    (STREAM[:-1] + b',"stream_options":{"include_usage":true,"include_usage":false}}', KEY, errors.InvalidRequest),
]


@pytest.mark.parametrize(("body", "credential", "kind"), REFUSALS)
def test_what_is_refused_reaches_no_provider(body: bytes, credential: str, kind: type[TrunklineError]) -> None:
    async def scene() -> None:
        played = Played()
        played.pipeline = pipeline(played.transport, played.ledger, keys=key_table("one/*"))
        played.client = ScriptedClient(body, credential=credential)
        await played.run(body)
        assert type(played.error) is kind
        assert played.transport.requests == []
        assert played.ledger.attempts == []

    play(scene)


def test_a_key_brings_only_its_own_deployments() -> None:
    async def scene() -> None:
        played = Played(refused(500), whole())
        played.pipeline = pipeline(played.transport, played.ledger, keys=key_table("two/*", "three/*"))
        await played.run()
        assert played.transport.asked == ["two", "three"]

    play(scene)


@pytest.mark.parametrize("body", [HELLO, STREAM])
@pytest.mark.parametrize("leaves_at", [0.5, 3.0, 6.5])
@pytest.mark.parametrize("by_the_caller", [True, False])
def test_a_call_that_is_cut_off_is_recorded_and_closes_the_provider(
    body: bytes, leaves_at: float, by_the_caller: bool
) -> None:
    """While the body comes, before the provider's headers, and while it answers; the caller leaves, or we stop."""

    async def scene() -> None:
        played = Played(Reply((1, ROLE), (1, TEXT), (100, FINISH), head_s=5))
        played.client = ScriptedClient(body, body_s=1)
        task = asyncio.create_task(played.pipeline.run(played.call, played.client, protocols.CHAT))
        await asyncio.sleep(leaves_at)
        played.client.gone = by_the_caller
        task.cancel()
        kind: type[BaseException] = ClientGone if by_the_caller else asyncio.CancelledError
        with pytest.raises(kind):
            await task
        played.error = played.call.error
        assert type(played.error) is (ClientGone if by_the_caller else errors.Unavailable)
        played.check()
        assert seconds() == leaves_at
        assert played.call.attempts == (leaves_at > 1)

    play(scene)


def test_a_caller_who_is_found_gone_is_not_asked_for_again() -> None:
    async def scene() -> None:
        played = Played(good(first_s=5), good())
        played.client._gone_s = 1.0
        await played.run(STREAM)
        assert isinstance(played.error, ClientGone)
        assert played.transport.asked == ["one"]
        assert played.client.log == []

    play(scene)


@pytest.mark.parametrize("body", [HELLO, STREAM])
def test_a_bug_becomes_a_defect_that_says_nothing_of_itself(body: bytes) -> None:
    async def scene() -> None:
        bug = ZeroDivisionError("secret thoughts")
        for script in (bug, Reply((0, bug)), Reply((0, bug), status=500), Reply((0, ROLE), (0, bug))):
            played = await Played(script, whole()).run(body)
            assert isinstance(played.error, Defect)
            assert played.error.__cause__ is bug
            assert "secret" not in played.error.message
            assert played.transport.asked == ["one"]

    play(scene)


def test_warnings_are_those_of_the_attempt_that_answers() -> None:
    async def scene() -> None:
        body = HELLO[:-1] + b',"seed":7,"user":"u"}'
        for targets, script, warnings in (
            (("picky/small", "one/small"), (refused(500), whole()), []),
            (
                ("one/small", "picky/small"),
                (refused(500), whole()),
                [f"dropped {name}: not supported by picky/small" for name in ("seed", "user")],
            ),
        ):
            played = Played(*script)
            played.pipeline = pipeline(played.transport, played.ledger, aliases={"any": targets})
            await played.run(body)
            assert played.call.warnings == warnings

    play(scene)


@pytest.mark.parametrize("restamp", [True, False])
def test_the_model_in_the_answer_is_the_one_asked_for_only_on_wish(restamp: bool) -> None:
    async def scene() -> None:
        played = Played(whole())
        played.pipeline = pipeline(played.transport, played.ledger, restamp_model=restamp)
        await played.run()
        assert played.answer == (ANSWER.replace(b'"real"', b'"any"') if restamp else ANSWER)
        role, finish = (event.replace(b'"id"', b'"model":"real","id"') for event in (ROLE, FINISH))
        played = Played(Reply((0, role), (0, finish + DONE)))
        played.pipeline = pipeline(played.transport, played.ledger, restamp_model=restamp)
        await played.run(STREAM)
        assert played.client.written == (role + finish).replace(b'"real"', b'"any"' if restamp else b'"real"') + DONE

    play(scene)


def test_each_deployment_gets_its_own_name_credential_and_the_callers_bytes() -> None:
    said = b'"messages":[{"role":"user","content":"\\u00e9"}]'
    odd = b'{ "x-own" : {"a": 1.0e2, "a":2}, "model":"any",\n' + said + b' ,"seed":7 }'

    async def scene() -> None:
        played = await Played(refused(500), whole()).run(odd)
        for request, name in zip(played.transport.requests, ("one", "two"), strict=True):
            assert request.target == b"/v1/chat/completions"
            assert [value for key, value in request.headers if key == b"authorization"] == [
                b"Bearer key-of-" + name.encode()
            ]
            assert request.body == b'{"x-own":{"a": 1.0e2, "a":2},"model":"small",' + said + b',"seed":7}'
            assert KEY.encode() not in request.body + repr(request.headers).encode()
            assert not request.streaming

    play(scene)


def test_the_account_is_told_to_the_sandbox_alone_and_trace_headers_to_all() -> None:
    trace: Headers = [(b"traceparent", b"00-1-2-01"), (b"tracestate", b"a=b")]

    async def scene() -> None:
        played = Played(refused(500), whole())
        played.call = new_call(trace)
        played.pipeline = pipeline(played.transport, played.ledger, aliases={"any": ("one/small", "sandbox/echo")})
        await played.run()
        assert played.transport.asked == ["one", "sandbox"]
        outside, inside = (request.headers for request in played.transport.requests)
        assert [header for header in outside if header[0].startswith(b"trace")] == trace
        assert inside[-3:] == [*trace, (b"x-sandbox-account", b"acct_1")]
        assert all(name != b"x-sandbox-account" for name, _ in outside)

    play(scene)


def test_our_own_time_is_what_no_provider_and_no_caller_took() -> None:
    """With a clock that moves only while somebody else is waited for, it is nothing at all."""

    async def scene() -> None:
        scripts: list[tuple[bytes, tuple[Reply, ...]]] = [
            (HELLO, (whole(after_s=3),)),
            (HELLO, (refused(500), whole(after_s=3))),
            (HELLO, (Reply((2, b"{}"), status=400, head_s=1),)),
            (STREAM, (good(first_s=5),)),
            (STREAM, (Reply((4, errors.StreamCut("cut")), head_s=2), good(first_s=5))),
            (STREAM, (Reply((30, errors.StreamCut("cut"))), refused(400))),
            (STREAM, (Reply((1, ROLE), (9, errors.StreamCut("cut"))),)),
        ]
        for body, script in scripts:
            played = Played(*script)
            played.client = ScriptedClient(body, body_s=7)
            await played.run(body)
            call = played.call
            assert call.overhead_s == pytest.approx(0, abs=1e-6)
            assert call.upstream_s == pytest.approx(call.ended_at - call.read_at)
            assert call.read_at - call.started_at == pytest.approx(7)
            assert call.overhead_until(call.answered_at) == pytest.approx(0, abs=1e-6)
        early = await Played().run(b"{")
        assert (early.call.upstream_s, early.call.answered_at) == (0, 0)
        assert early.call.overhead_s == pytest.approx(0)

    play(scene)


def test_the_first_event_is_dated_once() -> None:
    async def scene() -> None:
        played = await Played(Reply((20, errors.StreamCut("cut"))), good(first_s=3)).run(STREAM)
        assert played.call.first_event_at - played.call.started_at == pytest.approx(23)
        assert (await Played(whole()).run()).call.first_event_at == 0
        assert (await Played(refused(400)).run(STREAM)).call.first_event_at == 0

    play(scene)


def test_a_call_keeps_the_settings_it_began_with() -> None:
    async def scene() -> None:
        played = Played(Reply((0, b"{}"), status=500, head_s=5), whole())
        running = asyncio.create_task(played.run())
        await asyncio.sleep(1)
        played.pipeline.settings = msgspec.structs.replace(played.pipeline.settings, upstreams={})
        await running
        assert played.error is None
        assert played.transport.asked == ["one", "two"]

    play(scene)
