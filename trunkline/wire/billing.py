"""A provider's answer with what it cost written into it, every other byte as it came."""

from __future__ import annotations

from msgspec import Raw

from trunkline.wire import codec
from trunkline.wire.codec import encode
from trunkline.wire.usage import Usage


def with_cost(said: bytes, usage: Usage) -> bytes:
    """A provider's usage object with `cost`, in the place of whatever it called so itself. As it was where the cost is
    not known."""
    cost = usage.cost
    if not isinstance(cost, Raw):
        return said
    if b'"cost"' not in said and b"\\" not in said:
        return b'%b,"cost":%b}' % (said[:-1], bytes(cost))
    return encode({**(codec.answer_fields(said) or {}), "cost": cost})


def with_field(body: bytes, name: bytes, said: Raw, value: bytes) -> bytes:
    """`body`, a JSON object that has been decoded and is not empty, with another value for a field, or with the field.

    `said` is the value as decoding found it, empty where there is none. Where the name stands several times, all get
    the value, so that every reader finds the same.
    """
    if not said:
        end = body.rindex(b"}")
        return b'%b,"%b":%b%b' % (body[:end], name, value, body[end:])
    old = bytes(said)
    # In a text the quotes of a name would be escaped, so one name and one such value are the field itself.
    if body.count(b'"%b"' % name) == 1 and body.count(old) == 1:
        return body.replace(old, value)
    for start, end in reversed(codec.places(body, name.decode())):
        body = body[:start] + value + body[end:]
    return body
