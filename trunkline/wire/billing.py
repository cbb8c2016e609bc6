"""A provider's answer with what it cost written into it, every other byte as it came."""

from __future__ import annotations

from msgspec import Raw

from trunkline.money import usd_text
from trunkline.wire import codec
from trunkline.wire.codec import encode
from trunkline.wire.usage import Usage

_COLON = ord(":")
_ESCAPE = ord("\\")
_BLANK = ord(" ")


def with_cost(said: bytes, usage: Usage) -> bytes:
    """A provider's usage object with `cost`, in the place of whatever it called so itself. As it was where the cost is
    not known."""
    nanos = usage.cost_nanos
    if nanos is None:
        return said
    cost = usd_text(nanos).encode()
    if b'"cost"' not in said and _ESCAPE not in said:
        return said[:-1] + b',"cost":' + cost + b"}"
    return encode({**(codec.answer_fields(said) or {}), "cost": Raw(cost)})


def with_usage(body: bytes, name: bytes, said: Raw, usage: Usage, ours: bytes | None = None) -> bytes:
    """An answer whose usage is shown with its cost: the provider's, or `ours` where that does not count.

    `name` and `said` as in `with_field`.
    """
    if ours is not None:
        return with_field(body, name, said, ours)
    start = _start(body, name)
    end = start + len(said)
    if (
        usage.cost_nanos is None
        or not start
        or body.find(b'"cost"', start, end) > 0
        or body.find(b"\\", start, end) > 0
    ):
        return with_field(body, name, said, with_cost(bytes(said), usage))
    return b"".join((body[: end - 1], b',"cost":', usd_text(usage.cost_nanos).encode(), body[end - 1 :]))


def with_field(body: bytes, name: bytes, said: Raw, value: bytes) -> bytes:
    """`body`, a JSON object that has been decoded and is not empty, with another value for a field, or with the field.

    `said` is the value as decoding found it, empty where there is none. Where the name stands several times, all get
    the value, so that every reader finds the same.
    """
    if not said:
        end = body.rindex(b"}")
        return b'%b,"%b":%b%b' % (body[:end], name, value, body[end:])
    start = _start(body, name)
    if start:
        return body[:start] + value + body[start + len(said) :]
    for first, last in reversed(codec.places(body, name.decode())):
        body = body[:first] + value + body[last:]
    return body


def _start(body: bytes, name: bytes) -> int:
    """Where the value of a field begins that is there; 0 where a look is not enough to tell.

    In a text the quotes of a name would be escaped. So a name that stands once, with no other way to spell it, is the
    field itself.
    """
    spelled = b'"' + name + b'"'
    at = body.rfind(spelled)
    start = at + len(spelled) + 1
    if body.find(spelled) != at or (_ESCAPE in body and b"\\u" in body):
        return 0
    return start if body[start - 1] == _COLON and body[start] > _BLANK else 0
