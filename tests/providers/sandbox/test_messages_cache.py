from __future__ import annotations

import pytest

from trunkline import clock
from trunkline.providers.sandbox import messages_cache
from trunkline.providers.sandbox.messages_cache import FIVE_MINUTES_S, HOUR_S, CacheUse, PrefixCache, Segment


def segments(text: str) -> list[Segment]:
    """`ab|c!` is a, b (breakpoint of 5 minutes), c (of an hour); each letter is ten tokens."""
    found: list[Segment] = []
    for letter in text:
        if letter in "|!":
            found[-1] = Segment(found[-1].content, 10, "5m" if letter == "|" else "1h")
        else:
            found.append(Segment(letter.encode(), 10))
    return found


@pytest.mark.parametrize(
    ("prompts", "last"),
    [
        (["ab"], CacheUse()),
        (["ab|c"], CacheUse(written_5m=20)),
        (["ab|c", "ab|d"], CacheUse(read=20)),
        (["ab|c", "xb|d"], CacheUse(written_5m=20)),
        (["ab|c", "abc|d"], CacheUse(read=20, written_5m=10)),
        (["ab|c", "ab|cd|e"], CacheUse(read=20, written_5m=20)),
        (["a!b|c"], CacheUse(written_1h=10, written_5m=10)),
        (["a!b|c", "a!b|c"], CacheUse(read=20)),
        (["a!b|c", "a!x|c"], CacheUse(read=10, written_5m=10)),
        (["abc|", "abc"], CacheUse()),
        (["ab|", "ab" + "c" * 20 + "|"], CacheUse(read=20, written_5m=200)),
        (["ab|", "ab" + "c" * 21 + "|"], CacheUse(written_5m=230)),
    ],
)
def test_reads_and_writes(prompts: list[str], last: CacheUse) -> None:
    cache = PrefixCache()
    assert [cache.use(b"a", segments(prompt)) for prompt in prompts][-1] == last


def test_owners_share_nothing() -> None:
    cache = PrefixCache()
    cache.use(b"a", segments("ab|"))
    assert cache.use(b"b", segments("ab|")).read == 0
    assert cache.use(b"a", segments("ab|")).read == 20


def test_where_a_segment_ends_matters() -> None:
    cache = PrefixCache()
    cache.use(b"", [Segment(b"ab", 1), Segment(b"c", 1, "5m")])
    assert cache.use(b"", [Segment(b"a", 1), Segment(b"bc", 1, "5m")]).read == 0


@pytest.mark.parametrize(("mark", "lasts_s"), [("|", FIVE_MINUTES_S), ("!", HOUR_S)])
def test_what_is_not_read_is_forgotten(monkeypatch: pytest.MonkeyPatch, mark: str, lasts_s: float) -> None:
    now = [1_000.0]
    monkeypatch.setattr(clock, "monotonic_s", lambda: now[0])
    cache = PrefixCache()
    cache.use(b"", segments(f"ab{mark}"))
    for _ in range(3):
        now[0] += lasts_s - 1
        assert cache.use(b"", segments(f"ab{mark}c")).read == 20, "reading keeps it for as long again"
    now[0] += lasts_s
    assert cache.use(b"", segments(f"ab{mark}")).read == 0


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(messages_cache, "_MOST_PREFIXES", 10)
    cache = PrefixCache()
    for number in range(50):
        cache.use(b"", [Segment(b"%d" % number, 1, "5m")])
    assert len(cache) == 10
    assert cache.use(b"", [Segment(b"49", 1, "5m")]).read == 1
    assert cache.use(b"", [Segment(b"0", 1, "5m")]).read == 0
