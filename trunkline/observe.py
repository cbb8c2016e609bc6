"""The only doorway to telemetry: the logger, the metrics, and the type that keeps secrets out of both.

Counters and histograms are plain numbers in slotted objects: one call is recorded in about 1 us, where the client
library takes 6. Its text format and its families are used when somebody scrapes.
"""

from __future__ import annotations

import functools
import hashlib
import logging
import operator
import re
import sys
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping
from itertools import accumulate
from typing import Annotated, Any, Final, Generic, Literal, TypeVar

import msgspec
from msgspec import Meta
from prometheus_client.exposition import generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric as Exposed
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

import trunkline
from trunkline import clock

# structlog draws tracebacks with rich where it finds it: a hundred modules, for what is switched off below.
_rich = sys.modules.get("rich")
sys.modules["rich"] = None  # type: ignore[assignment]
import structlog  # noqa: E402
import structlog.stdlib  # noqa: E402

del sys.modules["rich"]
if _rich is not None:
    sys.modules["rich"] = _rich


class LogOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[log]`: what is written to standard error."""

    level: Annotated[
        Literal["debug", "info", "warning", "error"], Meta(description="The least severe line that is written.")
    ] = "info"
    format: Annotated[
        Literal["auto", "console", "json"],
        Meta(description="`auto`: console on a terminal, else one JSON object a line."),
    ] = "auto"


class Secret:
    """A credential. Printing it, logging it or putting it in a message shows a fingerprint, never the value."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value: Final = value

    def reveal(self) -> str:
        """The value itself, for the one place that sends it."""
        return self._value

    def fingerprint(self) -> str:
        return hashlib.sha256(self._value.encode()).hexdigest()[:8]

    def __repr__(self) -> str:
        return f"Secret({self.fingerprint()})"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)

    def __reduce__(self) -> Any:
        raise TypeError("a Secret is never serialised")


MOST_SERIES: Final = 2_000
OTHER: Final = "other"
SILENT_S: Final = 10.0

HIDDEN: Final = "[redacted]"
LONGEST_TEXT: Final = 20_000
SHORTEST_SECRET: Final = 6
SHORTEST_MINTED: Final = 40
_BODIES: Final = frozenset({"body", "prompt", "messages", "content", "completion", "text", "chunk"})
_SECRET_FIELD: Final = re.compile(
    r"(?:^|[-_])(?:authorization|cookie|password|secret|pepper|credential|api[-_]?key|token)$", re.IGNORECASE
)
_SECRET_TEXT: Final = re.compile(
    r"""
      (?P<url> :// ) [^/\s@'"]+ (?=@)                                              # https://user:password@host
    | (?P<query> [?&] (?:[a-z_-]*key|[a-z_-]*token|sig|signature|secret|password|code) = ) [^&\s"'#]+
    | (?P<cookie> \b (?:set-)?cookie (?: ["']? \s* [:=] \s* (?:b?["'])? | ["'] \s* , \s* b?["'] ) ) [^"'\r\n]+
    | (?P<header> \b (?:(?:x-)?api[-_]?key|x-goog-api-key|(?:proxy-)?authorization|password|secret|pepper
                    |(?:access|refresh|auth)[-_]token) (?: ["']? \s* [:=] \s* (?:b?["'])? | ["'] \s* , \s* b?["'] ) )
      (?: (?:bearer|basic) \s+ )? [^\s"',;&)]+
    | (?P<scheme> \b (?:bearer|basic) \s+ ) [^\s"',;)]{6,}
    | (?<![a-z0-9]) sk[-_] [a-z0-9_-]{5,}
    | (?<![a-z0-9]) (?:rk|pk|csk|xai|pplx|nvapi|gsk|hf|r8|fw|tgp|ghp|whsec) [-_] [a-z0-9_-]{16,}
    | (?<![a-z0-9]) AIza [a-z0-9_-]{6,}
    | (?<![a-z0-9]) eyJ [a-z0-9_-]{10,} \. [a-z0-9_.-]+                             # a JSON web token
    """,
    re.IGNORECASE | re.VERBOSE,
)
# Without one of these the pattern cannot match; looking for them takes a tenth of its time.
_MARKS: Final = (
    "://", "key", "token", "sig", "secret", "password", "pepper", "code=", "authorization", "cookie", "bearer", "basic",
    "aiza", "eyj", "sk-", "sk_", "rk-", "rk_", "pk-", "pk_", "xai", "pplx", "nvapi", "hf-", "hf_", "r8", "fw", "tgp",
    "ghp", "whsec",
)  # fmt: skip
# A minted key has 49 such characters in a row, whatever its prefix. Digests have hexadecimal digits alone.
_MINTED_TEXT: Final = re.compile(r"(?<![A-Za-z0-9])(?![0-9a-fA-F]+(?![A-Za-z0-9]))[A-Za-z0-9]{40,}")
_known: list[re.Pattern[str]] = []


def conceal(secrets: Iterable[Secret]) -> None:
    """These very texts never reach a log, whatever they look like. Replaces those of an earlier call."""
    texts = sorted({secret.reveal() for secret in secrets if len(secret.reveal()) >= SHORTEST_SECRET}, key=len)
    _known[:] = [re.compile("|".join(re.escape(text) for text in reversed(texts)))] if texts else []


def redact(text: str) -> str:
    """`text` without anything that is, or looks like, a credential."""
    for known in _known:
        text = known.sub(HIDDEN, text)
    if len(text) >= SHORTEST_MINTED:
        text = _MINTED_TEXT.sub(HIDDEN, text)
    lower = text.lower()
    for mark in _MARKS:
        if mark in lower:
            return _SECRET_TEXT.sub(_hide, text)
    return text


def _hide(found: re.Match[str]) -> str:
    return next(filter(None, found.groups()), "") + HIDDEN


def _redacted(value: object, name: str = "", depth: int = 0) -> object:
    if value is None or isinstance(value, bool | int | float | Secret):
        return repr(value) if isinstance(value, Secret) else value
    if name in _BODIES:
        return f"[{len(value)} long]" if hasattr(value, "__len__") else HIDDEN
    if isinstance(value, str):
        return HIDDEN if _SECRET_FIELD.search(name) else _cut(value)
    if depth < 4 and isinstance(value, Mapping):
        return {str(key): _redacted(inner, str(key).lower(), depth + 1) for key, inner in value.items()}
    if depth < 4 and isinstance(value, tuple) and len(value) == 2 and isinstance(value[0], str | bytes):
        name = value[0] if isinstance(value[0], str) else value[0].decode("latin-1")
        return [redact(name), _redacted(value[1], name.lower(), depth + 1)]  # a header
    if depth < 4 and isinstance(value, list | tuple | set | frozenset):
        return [_redacted(inner, name, depth + 1) for inner in value]
    return HIDDEN if _SECRET_FIELD.search(name) else _cut(repr(value))


def _cut(text: str) -> str:
    # A little more is looked at, or half of a secret would stay at the cut.
    return redact(text[: LONGEST_TEXT + 1_000])[:LONGEST_TEXT]


def redact_event(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """The last line of defence, just before a line is written. Bodies are never logged, only their length."""
    return {name: _redacted(value, name.lower()) for name, value in event.items()}


_loggers: Final[list[Any]] = []


@functools.cache
def logger(room: str) -> Any:
    """A structured logger: `logger("transport").warning("connect_failed", origin=...)`."""
    made = structlog.get_logger(room=room)  # noqa: TID251 - this is the place
    _loggers.append(made)
    return made


def configure(options: LogOptions) -> None:
    """Every line of this process, those of the standard library's loggers included, goes to standard error."""
    level = logging.getLevelNamesMapping()[options.level.upper()]
    on_terminal = options.format == "console" or (options.format == "auto" and sys.stderr.isatty())
    opening: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    closing: list[Any] = [
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
        redact_event,
        structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback)
        if on_terminal
        else structlog.processors.JSONRenderer(serializer=_one_line),
    ]
    structlog.configure(
        processors=[*opening, *closing],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    for made in _loggers:
        vars(made).pop("bind", None)  # where a logger keeps what it read of the settings at its first use
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=opening,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *closing],
        )
    )
    # Libraries log request lines, SQL and frames below warning.
    logging.basicConfig(handlers=[handler], level=max(level, logging.WARNING), force=True)
    logging.captureWarnings(capture=True)


def _one_line(event: object, **_options: object) -> str:
    return msgspec.json.encode(event, enc_hook=repr).decode()


class Counter:
    """Only ever grows. Belongs to the event loop's thread, as all recorded numbers do."""

    __slots__ = ("value",)
    merge: Final = staticmethod(operator.add)

    def __init__(self) -> None:
        self.value = 0.0

    def add(self, amount: float = 1) -> None:
        self.value += amount

    def state(self) -> list[float]:
        return [self.value]

    def restore(self, state: list[float]) -> None:
        self.value += state[0]


class Gauge:
    """A number as it stands. `read`, when set, is asked at every scrape instead. Workers' gauges are added up."""

    __slots__ = ("read", "value")
    merge: Callable[[float, float], float] = staticmethod(operator.add)

    def __init__(self) -> None:
        self.value = 0.0
        self.read: Callable[[], float] | None = None

    def add(self, amount: float = 1) -> None:
        self.value += amount

    def set(self, value: float) -> None:
        self.value = value

    def state(self) -> list[float]:
        return [self.value if self.read is None else self.read()]

    def restore(self, state: list[float]) -> None:
        """A gauge of a process that has ended means nothing."""


class Peak(Gauge):
    """A gauge of which the worst worker's counts."""

    __slots__ = ()
    merge = staticmethod(max)


class Histogram:
    """How many numbers fell under each bound, and their sum."""

    __slots__ = ("bounds", "counts", "total")
    merge: Final = staticmethod(operator.add)

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, value: float) -> None:
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    def state(self) -> list[float]:
        return [self.total, *self.counts]

    def restore(self, state: list[float]) -> None:
        self.total += state[0]
        self.counts = [have + int(more) for have, more in zip(self.counts, state[1:], strict=True)]


Child = TypeVar("Child", Counter, Gauge, Peak, Histogram)


class Family(Generic[Child]):
    """One metric, with a child for each set of label values. Past MOST_SERIES, further sets count as `other`."""

    __slots__ = ("about", "children", "labels", "make", "name")

    def __init__(self, name: str, about: str, labels: tuple[str, ...], make: Callable[[], Child]) -> None:
        self.name = name
        self.about = about
        self.labels = labels
        self.make: Callable[[], Child] = make
        self.children: dict[tuple[str, ...], Child] = {}

    def of(self, *values: str) -> Child:
        child = self.children.get(values)
        return child if child is not None else self._grow(values)

    def _grow(self, values: tuple[str, ...]) -> Child:
        if len(values) != len(self.labels):
            raise ValueError(f"{self.name} has the labels {self.labels}")
        if len(self.children) >= MOST_SERIES:
            values = (OTHER,) * len(self.labels)
        return self.children.setdefault(values, self.make())


class CallSeries:
    """Where one kind of call is counted. Keep no reference: ask `Metrics.call` each time, it is one look-up."""

    __slots__ = ("cached", "calls", "duration", "first_byte", "input", "output", "overhead", "reasoning")

    def __init__(self, metrics: Metrics, labels: tuple[str, str, str, str, str]) -> None:
        route, _, provider, model, _ = labels
        self.calls = metrics.calls.of(*labels)
        self.duration = metrics.call_duration.of(route, provider)
        self.first_byte = metrics.first_byte.of(route, provider)
        self.overhead = metrics.overhead.of(route)
        self.input = metrics.tokens.of(provider, model, "input")
        self.cached = metrics.tokens.of(provider, model, "cached")
        self.output = metrics.tokens.of(provider, model, "output")
        self.reasoning = metrics.tokens.of(provider, model, "reasoning")

    def ended(self, duration_s: float, overhead_s: float, first_byte_s: float | None = None) -> None:
        """One call has its answer. `first_byte_s` is for streams; `overhead_s` is the time that was spent by us."""
        self.calls.value += 1
        self.duration.observe(duration_s)
        self.overhead.observe(overhead_s)
        if first_byte_s is not None:
            self.first_byte.observe(first_byte_s)

    def used(self, input_tokens: int, cached_tokens: int, output_tokens: int, reasoning_tokens: int) -> None:
        """Cached tokens are part of the input, reasoning tokens part of the output."""
        self.input.value += input_tokens
        self.cached.value += cached_tokens
        self.output.value += output_tokens
        self.reasoning.value += reasoning_tokens


class Snapshot(msgspec.Struct, frozen=True):
    """One process' numbers at a moment (Unix seconds): metric -> (label values, state)."""

    at: float
    numbers: dict[str, list[tuple[tuple[str, ...], list[float]]]]


class Metrics:
    """Every metric there is. A label value is always one of few: `model` is a catalog id or `other`."""

    def __init__(self) -> None:
        self.families: dict[str, Family[Any]] = {}
        call = ("route", "protocol", "provider", "model", "status")
        self.calls = self._declare("trunkline_calls", "Calls answered.", call, Counter)
        self.call_duration = self._declare(
            "trunkline_call_duration_seconds",
            "From the request's head to the last byte of the answer.",
            ("route", "provider"),
            lambda: Histogram((0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)),
        )
        self.first_byte = self._declare(
            "trunkline_first_byte_seconds",
            "From the request's head to the first event of a streamed answer.",
            ("route", "provider"),
            lambda: Histogram((0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)),
        )
        self.overhead = self._declare(
            "trunkline_overhead_seconds",
            "The part of a call that was not spent waiting for the provider or the caller.",
            ("route",),
            lambda: Histogram((0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.1)),
        )
        self.tokens = self._declare(
            "trunkline_tokens",
            "Tokens used. cached is part of input, reasoning is part of output.",
            ("provider", "model", "kind"),
            Counter,
        )
        self.attempts = self._declare(
            "trunkline_upstream_attempts", "Requests sent to providers.", ("provider", "outcome"), Counter
        )
        self.refusals = self._declare("trunkline_refusals", "Calls refused, by error code.", ("code",), Counter)
        self.in_flight = self._declare("trunkline_calls_in_flight", "Calls being answered.", (), Gauge).of()
        self.connections = self._declare(
            "trunkline_upstream_connections", "Connections to providers.", ("state",), Gauge
        )
        self.loop_lag = self._declare(
            "trunkline_event_loop_lag_seconds",
            "How late the event loop was, measured four times a second.",
            (),
            lambda: Histogram((0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1)),
        ).of()
        self.loop_lag_peak = self._declare(
            "trunkline_event_loop_lag_peak_seconds", "The latest the loop was in the last 15 s.", (), Peak
        ).of()
        self.key_table_age = self._declare(
            "trunkline_key_table_age_seconds", "Since the table of keys was confirmed by the database.", (), Peak
        ).of()
        self.build = self._declare("trunkline_build_info", "Which version this is.", ("version",), Peak)
        self.build.of(trunkline.__version__).set(1)
        self._series: dict[tuple[str, str, str, str, str], CallSeries] = {}

    def _declare(self, name: str, about: str, labels: tuple[str, ...], make: Callable[[], Child]) -> Family[Child]:
        family = Family(name, about, labels, make)
        self.families[name] = family
        return family

    def call(self, route: str, protocol: str, provider: str, model: str, status: str) -> CallSeries:
        """The series of calls like this one."""
        labels = (route, protocol, provider, model, status)
        series = self._series.get(labels)
        if series is None:
            if len(self._series) >= MOST_SERIES and model != OTHER:
                return self.call(route, protocol, provider, OTHER, status)
            series = self._series[labels] = CallSeries(self, labels)
        return series

    def snapshot(self) -> Snapshot:
        return Snapshot(
            clock.now_s(),
            {
                name: [(labels, child.state()) for labels, child in family.children.items()]
                for name, family in self.families.items()
            },
        )

    def restore(self, snapshot: Snapshot) -> None:
        """Goes on from where a process that has ended stopped. Gauges start anew."""
        for name, rows in snapshot.numbers.items():
            if name in self.families:
                for labels, state in rows:
                    self.families[name].of(*labels).restore(state)

    def render(self, others: Iterable[Snapshot] = ()) -> bytes:
        """Prometheus' text format, other workers' numbers merged in, but for gauges of a worker that fell silent."""
        own = self.snapshot()
        merged: dict[str, dict[tuple[str, ...], list[float]]] = {name: {} for name in self.families}
        for snapshot in (own, *others):
            silent = own.at - snapshot.at > SILENT_S
            for name in self.families.keys() & snapshot.numbers.keys():
                family, into = self.families[name], merged[name]
                if silent and isinstance(family.make(), Gauge):
                    continue
                for labels, state in snapshot.numbers[name]:
                    have = into.get(labels)
                    into[labels] = state if have is None else list(map(family.make().merge, have, state))
        return generate_latest(_Exposition(self.families, merged))


class _Exposition(Collector):
    """Numbers in the client library's terms."""

    def __init__(self, families: Mapping[str, Family[Any]], numbers: Mapping[str, dict[tuple[str, ...], list[float]]]):
        self._families = families
        self._numbers = numbers

    def collect(self) -> Iterator[Exposed]:
        yield from ProcessCollector(registry=None).collect()
        for name, family in self._families.items():
            yield _exposed(family, self._numbers[name])


def _exposed(family: Family[Any], numbers: dict[tuple[str, ...], list[float]]) -> Exposed:
    sample = family.make()
    if isinstance(sample, Histogram):
        histogram = HistogramMetricFamily(family.name, family.about, labels=family.labels)
        bounds = [*map(str, sample.bounds), "+Inf"]
        for labels, (total, *counts) in numbers.items():
            histogram.add_metric(labels, list(zip(bounds, accumulate(counts), strict=True)), total)
        return histogram
    kind = CounterMetricFamily if isinstance(sample, Counter) else GaugeMetricFamily
    exposed = kind(family.name, family.about, labels=family.labels)
    for labels, (value,) in numbers.items():
        exposed.add_metric(labels, value)
    return exposed
