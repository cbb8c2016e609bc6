"""A request of this protocol: the neutral one, what its answer repeats, and what only this protocol says of tools."""

from __future__ import annotations

import hashlib
import re

import msgspec
from msgspec import Raw

from trunkline.errors import InvalidRequest
from trunkline.translation.exchange import Request
from trunkline.wire.codec import Fields

PROTOCOL = "openai_responses"
MOST_NAME = 64
"""The longest name of a function that every protocol takes."""
_PLAIN = re.compile(r"[A-Za-z0-9_-]+")
_PLACE = re.compile(r"`\$([^`]*)`")
_KINDS = {
    "str": "a string",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "array": "an array",
    "object": "an object",
}
_WANTED = re.compile(r"Expected `([^`]*)`")


class Asked(Request, kw_only=True):
    """`echo` is the body's top level as it came: an answer of this protocol repeats it.

    `namespaces`: a tool's name here -> the namespace and the name that it has there. `native`: a tool's name here ->
    the entry of `tools` as it came, where that says more than `exchange.Tool` does.
    """

    echo: Fields = msgspec.field(default_factory=dict)
    namespaces: dict[str, tuple[str, str]] = msgspec.field(default_factory=dict)
    native: dict[str, Raw] = msgspec.field(default_factory=dict)


def flat(namespace: str | None, name: str) -> str:
    """The one name of a tool in a namespace, for protocols that have none. The same for the same pair, always."""
    if namespace is None:
        return name
    joined = f"{namespace}{name}" if namespace.endswith("__") else f"{namespace}__{name}"
    if len(joined) <= MOST_NAME and _PLAIN.fullmatch(joined):
        return joined
    digest = hashlib.sha256(f"{namespace}\0{name}".encode("utf-8", "surrogatepass")).hexdigest()[:12]
    cleaned = re.sub(r"[^A-Za-z0-9_-]", "_", name)[: MOST_NAME - 13]
    return f"{cleaned}_{digest}"


def split(request: Request, name: str) -> tuple[str | None, str]:
    """The namespace, None when there is none, and the name that the caller knows the tool by."""
    if isinstance(request, Asked):
        return request.namespaces.get(name, (None, name))
    return None, name


def refusal(error: Exception, where: str) -> InvalidRequest:
    """For a value of another type, from the decoder's sentence: "Expected `str`, got `int` - at `$[0].text`"."""
    said = str(error)
    place = _PLACE.search(said)
    path = where + (place[1] if place else "")
    missing = re.search("missing required field `([^`]*)`", said)
    if missing:
        path = f"{path}.{missing[1]}"
        return InvalidRequest(f"'{path}' is required.", code="missing_required_parameter", param=path)
    wanted = _WANTED.search(said)
    sentence = " or ".join(_KINDS.get(kind, kind) for kind in wanted[1].split(" | ")) if wanted else "of another form"
    return InvalidRequest(f"'{path}' must be {sentence}.", code="invalid_type", param=path)
