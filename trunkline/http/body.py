"""Reading a request's body: JSON only, uncompressed, and never more than the limit in memory."""

from __future__ import annotations

from collections.abc import Mapping

from trunkline.errors import BodyTooLarge, ClientGone, UnsupportedMediaType
from trunkline.http.asgi import Receive, Scope
from trunkline.http.shortcuts import take_body


async def read_json_body(scope: Scope, receive: Receive, named: Mapping[bytes, bytes], limit_bytes: int) -> bytes:
    """The bytes of a JSON body. Raises BodyTooLarge (an excess is never read), UnsupportedMediaType, ClientGone."""
    check_media_type(named)
    declared = named.get(b"content-length")
    if declared is not None and int(declared) > limit_bytes:
        raise _too_large(limit_bytes)
    whole = take_body(scope, receive)
    if whole is None:
        return await _read(receive, limit_bytes)
    if len(whole) > limit_bytes:
        raise _too_large(limit_bytes)
    return whole


async def _read(receive: Receive, limit_bytes: int) -> bytes:
    parts: list[bytes] = []
    size, more = 0, True
    while more:
        message = await receive()
        if message["type"] != "http.request":
            raise ClientGone("The client went away while sending its request.")
        part: bytes = message.get("body", b"")
        parts.append(part)
        size += len(part)
        if size > limit_bytes:
            raise _too_large(limit_bytes)
        more = message.get("more_body", False)
    return b"".join(parts)


def check_media_type(named: Mapping[bytes, bytes]) -> None:
    """A body of another kind is refused by name; a missing content-type is taken for JSON."""
    if named.get(b"content-type") == b"application/json" and b"content-encoding" not in named:
        return
    encoding = named.get(b"content-encoding")
    if encoding is not None and encoding.strip().lower() not in (b"", b"identity"):
        raise UnsupportedMediaType(
            "The body is compressed (`content-encoding`). Send it as plain JSON.", code="unsupported_content_encoding"
        )
    media_type = named.get(b"content-type")
    if media_type is None or media_type == b"application/json":
        return
    essence = media_type.partition(b";")[0].strip().lower()
    if essence != b"application/json" and not (essence.startswith(b"application/") and essence.endswith(b"+json")):
        raise UnsupportedMediaType("Send the body as JSON, with the header `content-type: application/json`.")


def _too_large(limit_bytes: int) -> BodyTooLarge:
    return BodyTooLarge(f"The body is larger than the {limit_bytes} bytes that are accepted here.")
