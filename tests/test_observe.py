"""Laws of telemetry: no secret passes, lines are whole, numbers add up, and recording is cheap."""

from __future__ import annotations

import logging
import sys
import timeit
from collections.abc import Callable, Iterator

import msgspec
import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from trunkline import observe
from trunkline.observe import Counter, Family, LogOptions, Metrics, Secret, conceal, configure, logger, redact

CANARY = "Zq3vK9xWc7RtY2mN"
MINTED = "4kTz9" + CANARY * 3


@pytest.fixture
def written(capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[[], str]]:
    """What came to standard error since the last look. Leaves the process' logging as it was."""
    root = logging.getLogger()
    before = (root.handlers[:], root.level)
    yield lambda: capsys.readouterr().err
    root.handlers[:], root.level = before
    logging.captureWarnings(False)
    structlog.reset_defaults()
    for made in observe._loggers:
        vars(made).pop("bind", None)


@pytest.mark.parametrize(
    "text",
    [
        f"sk-{CANARY}",
        f"sk-proj-{CANARY}-{CANARY}",
        f"bad key 'sk-ant-api03-{CANARY}' given",
        f"(sk_{CANARY})",
        f"Authorization: Bearer {CANARY}",
        f"{{'authorization': 'Bearer {CANARY}'}}",
        f"(b'authorization', b'Bearer {CANARY}')",
        f'"x-api-key": "{CANARY}"',
        f"[(b'x-api-key', b'{CANARY}')]",
        f"X-Api-Key={CANARY}",
        f"api_key = '{CANARY}'",
        f"x-goog-api-key: {CANARY}",
        f"Proxy-Authorization: Basic {CANARY}==",
        f"cookie: session={CANARY}; other={CANARY}",
        f"basic {CANARY}",
        f"AIza{CANARY}",
        f"https://user:{CANARY}@example.org/x",
        f"https://{CANARY}@example.org/x",
        f"https://example.org/x?a=1&key={CANARY}&b=2",
        f"GET /v1/models?api_key={CANARY} HTTP/1.1",
        f"gsk_{CANARY}",
        f"xai-{CANARY}",
        f"hf_{CANARY}",
        f"eyJhbGciOiJIUzI1NiJ9.{CANARY}.{CANARY}",
        f"refresh_token={CANARY}",
        f"password: {CANARY}",
        f"acme-a1b2c3-{MINTED}",
        f"postgresql://trunkline:{CANARY}@db/trunkline",
    ],
)
def test_nothing_that_looks_like_a_credential_passes(text: str) -> None:
    assert CANARY not in redact(text)
    assert CANARY not in redact(f"before {text} after")
    assert CANARY not in redact(f"before\n{text}\nafter")


@pytest.mark.parametrize(
    "text",
    [
        "deepseek/deepseek-v3 answered 429",
        "https://api.example.org:8443/v1/chat/completions?stream=1",
        "a3f5" * 16,
        "the key key_4fGh2JkL was revoked",
        "connect_failed",
        "risk-based tokens: 17",
        "call_4jTuG8sKq2Lm9w00000001",
    ],
)
def test_what_operators_need_stays(text: str) -> None:
    assert redact(text) == text


def test_the_rest_of_a_redacted_line_stays() -> None:
    assert redact(f"GET https://u:{CANARY}@h/x?key={CANARY}&n=1") == "GET https://[redacted]@h/x?key=[redacted]&n=1"


@given(st.text())
def test_redacting_twice_changes_nothing_more(text: str) -> None:
    assert redact(redact(text)) == redact(text)


@given(st.sampled_from(["sk-", "AIza", "Bearer ", "x-api-key: ", "?key="]), st.text(max_size=50))
def test_marks_are_enough_to_find_every_pattern(opening: str, around: str) -> None:
    text = f"{around}\n{opening}{CANARY}"
    assert redact(text) == observe._SECRET_TEXT.sub(observe._hide, observe._MINTED_TEXT.sub(observe.HIDDEN, text))


def test_a_concealed_text_is_hidden_whatever_it_looks_like() -> None:
    conceal([Secret("plain words"), Secret("plain words and more"), Secret("x")])
    try:
        assert redact("these plain words and more: x") == "these [redacted]: x"
    finally:
        conceal([])
    assert redact("these plain words") == "these plain words"


def test_a_secret_shows_a_fingerprint_everywhere() -> None:
    secret = Secret(CANARY)
    assert CANARY not in f"{secret} {secret!r} {[secret]}"
    assert secret.reveal() == CANARY
    assert secret == Secret(CANARY)
    assert secret != Secret("other")
    assert len({secret, Secret(CANARY)}) == 1
    with pytest.raises(TypeError):
        msgspec.json.encode(secret)


def test_a_line_is_json_without_any_secret(written: Callable[[], str]) -> None:
    configure(LogOptions(format="json"))
    log = logger("test")
    log.info("event", key=Secret(CANARY), url=f"https://a:{CANARY}@b/", api_key=CANARY, headers={"cookie": CANARY})
    log.info("nested", facts=[{"x-api-key": CANARY, "n": 1}], pair=(b"x-api-key", CANARY.encode()))
    log.warning("bodies", body=b"{}" * 50, prompt=CANARY, messages=[{"role": "user", "content": CANARY}])
    log.error("it said Bearer %s", CANARY, status=401, ratio=0.5, nothing=None, ok=True)
    text = written()
    assert CANARY not in text
    events = [msgspec.json.decode(line) for line in text.splitlines()]
    assert [event["level"] for event in events] == ["info", "info", "warning", "error"]
    assert events[0]["key"] == f"Secret({Secret(CANARY).fingerprint()})"
    assert events[0]["room"] == "test"
    assert events[2]["body"] == "[100 long]"
    assert (events[3]["status"], events[3]["ratio"], events[3]["nothing"], events[3]["ok"]) == (401, 0.5, None, True)


@pytest.mark.parametrize("form", ["json", "console"])
def test_exceptions_lose_their_secrets_too(written: Callable[[], str], form: str) -> None:
    configure(LogOptions(format=form))  # type: ignore[arg-type]
    try:
        try:
            raise ValueError(f"sk-{CANARY}")
        except ValueError as inner:
            raise RuntimeError(f"https://u:{CANARY}@h") from inner
    except RuntimeError:
        logger("test").exception("broke")
        logging.getLogger("library").exception("broke as well")
    text = written()
    assert text.count("RuntimeError") >= 2
    assert CANARY not in text


def test_other_libraries_lines_come_the_same_way(written: Callable[[], str]) -> None:
    configure(LogOptions(format="json", level="debug"))
    logging.getLogger("uvicorn.error").warning("Authorization: Bearer %s", CANARY)
    logging.getLogger("sqlalchemy.engine").info("SELECT secret")
    (line,) = written().splitlines()
    event = msgspec.json.decode(line)
    assert event["level"] == "warning"
    assert CANARY not in line


def test_the_level_holds_and_can_be_changed(written: Callable[[], str]) -> None:
    log = logger("test")
    configure(LogOptions(level="warning", format="json"))
    log.info("unseen")
    assert written() == ""
    configure(LogOptions(level="debug", format="json"))
    log.debug("seen")
    assert msgspec.json.decode(written())["event"] == "seen"


def test_without_a_terminal_lines_are_json_and_with_one_they_are_not(
    written: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(LogOptions())
    logger("test").info("plain")
    assert msgspec.json.decode(written())["event"] == "plain"
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    configure(LogOptions())
    logger("test").info("coloured")
    with pytest.raises(msgspec.DecodeError):
        msgspec.json.decode(written())


def samples(page: bytes) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(page.decode())
        for sample in family.samples
    }


def record(metrics: Metrics) -> None:
    series = metrics.call("chat", "openai_chat", "openai", "openai/gpt-4o", "200")
    series.ended(1.2, 0.0002, 0.3)
    series.used(10, 2, 30, 5)


def test_a_call_is_counted_where_it_belongs() -> None:
    metrics = Metrics()
    record(metrics)
    record(metrics)
    metrics.attempts.of("openai", "answered").add()
    metrics.refusals.of("invalid_api_key").add(3)
    metrics.in_flight.add()
    found = samples(metrics.render())
    call = (
        ("model", "openai/gpt-4o"),
        ("protocol", "openai_chat"),
        ("provider", "openai"),
        ("route", "chat"),
        ("status", "200"),
    )
    assert found["trunkline_calls_total", call] == 2
    assert found["trunkline_call_duration_seconds_sum", (("provider", "openai"), ("route", "chat"))] == 2.4
    assert (
        found["trunkline_call_duration_seconds_bucket", (("le", "1"), ("provider", "openai"), ("route", "chat"))] == 0
    )
    assert (
        found["trunkline_call_duration_seconds_bucket", (("le", "2.5"), ("provider", "openai"), ("route", "chat"))] == 2
    )
    assert (
        found["trunkline_call_duration_seconds_bucket", (("le", "+Inf"), ("provider", "openai"), ("route", "chat"))]
        == 2
    )
    for kind, tokens in {"input": 20, "cached": 4, "output": 60, "reasoning": 10}.items():
        labels = (("kind", kind), ("model", "openai/gpt-4o"), ("provider", "openai"))
        assert found["trunkline_tokens_total", labels] == tokens
    assert found["trunkline_upstream_attempts_total", (("outcome", "answered"), ("provider", "openai"))] == 1
    assert found["trunkline_refusals_total", (("code", "invalid_api_key"),)] == 3
    assert found["trunkline_calls_in_flight", ()] == 1


def test_a_gauge_may_be_asked() -> None:
    metrics = Metrics()
    metrics.key_table_age.read = lambda: 1.5
    metrics.connections.of("idle").read = lambda: 7
    found = samples(metrics.render())
    assert found["trunkline_key_table_age_seconds", ()] == 1.5
    assert found["trunkline_upstream_connections", (("state", "idle"),)] == 7


def test_models_beyond_the_limit_are_counted_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(observe, "MOST_SERIES", 5)
    metrics = Metrics()
    for number in range(50):
        metrics.call("chat", "openai_chat", "p", f"p/{number}", "200").ended(1, 0)
    rows = [labels for name, labels in samples(metrics.render()) if name == "trunkline_calls_total"]
    assert len(rows) == 6
    assert sum(value for (name, _), value in samples(metrics.render()).items() if name == "trunkline_calls_total") == 50


def test_label_values_beyond_the_limit_are_counted_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(observe, "MOST_SERIES", 5)
    family = Family("x", "x", ("code",), Counter)
    for number in range(50):
        family.of(str(number)).add()
    assert len(family.children) == 6
    assert family.of("other").value == 45
    with pytest.raises(ValueError, match="labels"):
        family.of("a", "b")


@given(st.lists(st.floats(min_value=0, max_value=1e6), max_size=50), st.integers(0, 50))
def test_numbers_split_over_workers_are_the_numbers_of_one(values: list[float], cut: int) -> None:
    whole, one, two = Metrics(), Metrics(), Metrics()
    for position, value in enumerate(values):
        for metrics in (whole, one if position < cut else two):
            metrics.overhead.of("chat").observe(round(value))
            metrics.refusals.of(str(position % 3)).add()
    together = one.render([msgspec.json.decode(msgspec.json.encode(two.snapshot()), type=observe.Snapshot)])
    ours = {name: value for name, value in samples(together).items() if name[0].startswith("trunkline")}
    assert ours == {name: value for name, value in samples(whole.render()).items() if name[0].startswith("trunkline")}


def test_gauges_of_workers_add_up_and_peaks_do_not() -> None:
    one, two = Metrics(), Metrics()
    one.in_flight.set(3)
    two.in_flight.set(4)
    one.loop_lag_peak.set(0.5)
    two.loop_lag_peak.set(0.25)
    found = samples(one.render([two.snapshot()]))
    assert found["trunkline_calls_in_flight", ()] == 7
    assert found["trunkline_event_loop_lag_peak_seconds", ()] == 0.5


def test_a_silent_worker_keeps_its_counts_and_loses_its_gauges() -> None:
    one, two = Metrics(), Metrics()
    record(two)
    two.in_flight.set(4)
    stale = two.snapshot()
    stale = msgspec.structs.replace(stale, at=stale.at - observe.SILENT_S - 1)
    found = samples(one.render([stale]))
    assert found["trunkline_calls_in_flight", ()] == 0
    assert sum(value for (name, _), value in found.items() if name == "trunkline_calls_total") == 1


def test_numbers_go_on_from_where_a_process_ended() -> None:
    ended, metrics = Metrics(), Metrics()
    record(ended)
    ended.in_flight.add()
    metrics.restore(msgspec.json.decode(msgspec.json.encode(ended.snapshot()), type=observe.Snapshot))
    record(metrics)
    found = samples(metrics.render())
    assert sum(value for (name, _), value in found.items() if name == "trunkline_calls_total") == 2
    assert found["trunkline_call_duration_seconds_count", (("provider", "openai"), ("route", "chat"))] == 2
    assert found["trunkline_calls_in_flight", ()] == 0


@pytest.mark.slow
def test_recording_a_call_costs_three_microseconds_at_most() -> None:
    metrics = Metrics()
    assert min(timeit.repeat(lambda: record(metrics), number=5_000, repeat=10)) / 5_000 < 3e-6
