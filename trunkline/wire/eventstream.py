"""AWS's binary event stream (`application/vnd.amazon.eventstream`): bytes in any pieces to messages, and back.

    4 bytes  length of the whole message         all numbers are big-endian
    4 bytes  length of the headers
    4 bytes  CRC-32 of the eight bytes before
    headers: 1 byte length of the name, the name, 1 byte type, the value
    payload
    4 bytes  CRC-32 of everything before

https://docs.aws.amazon.com/lexv2/latest/dg/event-stream-encoding.html has the frame; the types of headers are those of
https://smithy.io/2.0/aws/amazon-eventstream.html.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from zlib import crc32

import msgspec

from trunkline.errors import StreamCut, UpstreamFailed

HeaderValue = bool | int | str | bytes
"""A timestamp comes as milliseconds since 1970, a UUID as its 16 bytes."""

MAX_MESSAGE_BYTES = 4 * 1024 * 1024
MAX_HEADERS_BYTES = 128 * 1024

_PRELUDE = struct.Struct(">III")
_CRC = struct.Struct(">I")
_LENGTH = struct.Struct(">H")
_FRAME_BYTES = _PRELUDE.size + _CRC.size
_FIXED: Mapping[int, struct.Struct] = {
    2: struct.Struct(">b"),
    3: struct.Struct(">h"),
    4: struct.Struct(">i"),
    5: struct.Struct(">q"),
    8: struct.Struct(">q"),
    9: struct.Struct("16s"),
}
_TRUE, _FALSE, _BYTES, _TEXT = 0, 1, 6, 7
# The events of a stream have few kinds, so their headers repeat to the byte.
_MOST_KNOWN = 64


class Message(msgspec.Struct, frozen=True):
    """One message. `:message-type` says what it is: `event`, `exception` (the service's own) or `error`."""

    headers: Mapping[str, HeaderValue]
    payload: bytes

    def text(self, name: str) -> str:
        """A header's text; empty when it is absent or no text."""
        value = self.headers.get(name)
        return value if isinstance(value, str) else ""


class Reader:
    """Gives each message as soon as its last byte is there. Holds at most one unfinished message.

    Raises UpstreamFailed for a wrong checksum, a length over the limits and headers that make no sense; messages before
    the bad one are handed out first, however the bytes were cut.
    """

    __slots__ = ("_error", "_known", "_max_message_bytes", "_needed", "_waiting", "_waiting_bytes")

    def __init__(self, *, max_message_bytes: int = MAX_MESSAGE_BYTES) -> None:
        self._max_message_bytes = max_message_bytes
        self._waiting: list[bytes] = []
        self._waiting_bytes = 0
        self._needed = _PRELUDE.size
        self._known: dict[bytes, Mapping[str, HeaderValue]] = {}
        self._error: UpstreamFailed | None = None

    def feed(self, data: bytes) -> list[Message]:
        """Every message that `data` completes."""
        if self._error is not None:
            raise self._error
        self._waiting.append(data)
        self._waiting_bytes += len(data)
        if self._waiting_bytes < self._needed:
            return []
        whole = b"".join(self._waiting) if len(self._waiting) > 1 else data
        messages: list[Message] = []
        try:
            rest = self._read(whole, messages)
        except UpstreamFailed as error:
            self._error = error
            if not messages:
                raise
            return messages
        self._waiting = [rest] if rest else []
        self._waiting_bytes = len(rest)
        return messages

    def end(self) -> None:
        """The bytes have ended. Raises StreamCut when they did so inside a message."""
        if self._error is not None:
            raise self._error
        if self._waiting_bytes:
            raise StreamCut("The provider's answer ended inside an event.")

    def _read(self, data: bytes, messages: list[Message]) -> bytes:
        """Adds the whole messages in `data` and returns what follows them."""
        position, end = 0, len(data)
        self._needed = _PRELUDE.size
        while end - position >= _PRELUDE.size:
            length, headers_length = self._lengths(data, position)
            if end - position < length:
                self._needed = length
                break
            messages.append(self._message(data, position, length, headers_length))
            position += length
        return data[position:] if position else data

    def _lengths(self, data: bytes, position: int) -> tuple[int, int]:
        length, headers_length, checksum = _PRELUDE.unpack_from(data, position)
        if crc32(data[position : position + 8]) != checksum:
            raise UpstreamFailed("The provider's event stream is damaged: a prelude's checksum is wrong.")
        if headers_length > MAX_HEADERS_BYTES or length < headers_length + _FRAME_BYTES:
            raise UpstreamFailed("The provider's event stream is damaged: its lengths make no sense.")
        if length > self._max_message_bytes:
            raise UpstreamFailed(f"The provider sent an event of more than {self._max_message_bytes:,} bytes.")
        return length, headers_length

    def _message(self, data: bytes, position: int, length: int, headers_length: int) -> Message:
        payload_at = position + _PRELUDE.size + headers_length
        payload_end = position + length - _CRC.size
        (checksum,) = _CRC.unpack_from(data, payload_end)
        if crc32(memoryview(data)[position:payload_end]) != checksum:
            raise UpstreamFailed("The provider's event stream is damaged: a message's checksum is wrong.")
        block = data[position + _PRELUDE.size : payload_at]
        headers = self._known.get(block)
        if headers is None:
            headers = read_headers(block)
            if len(self._known) < _MOST_KNOWN:
                self._known[block] = headers
        return Message(headers, data[payload_at:payload_end])


def read_headers(block: bytes) -> dict[str, HeaderValue]:
    """The headers of one message. Raises UpstreamFailed."""
    headers: dict[str, HeaderValue] = {}
    position = 0
    try:
        while position < len(block):
            name_at = position + 1
            name_end = name_at + block[position]
            name = block[name_at:name_end].decode()
            value, position = _value(block, name_end)
            if not name or name in headers:
                raise UpstreamFailed("The provider's event stream is damaged: a header has no name or comes twice.")
            headers[name] = value
    except (IndexError, UnicodeDecodeError, struct.error):
        raise UpstreamFailed("The provider's event stream is damaged: its headers make no sense.") from None
    return headers


def _value(block: bytes, position: int) -> tuple[HeaderValue, int]:
    """The value whose type stands at `position`, and where it ends. Raises IndexError, struct.error and such."""
    kind = block[position]
    position += 1
    if kind in (_TRUE, _FALSE):
        return kind == _TRUE, position
    if kind in _FIXED:
        (number,) = _FIXED[kind].unpack_from(block, position)
        return number, position + _FIXED[kind].size
    if kind not in (_BYTES, _TEXT):
        raise IndexError(kind)
    (length,) = _LENGTH.unpack_from(block, position)
    position += _LENGTH.size
    value = block[position : position + length]
    if len(value) != length:
        raise IndexError(length)
    return value if kind == _BYTES else value.decode(), position + length


def write(headers: Mapping[str, str], payload: bytes) -> bytes:
    """One message. A name has at most 255 bytes, a value at most 65,535."""
    block = b"".join(_header(name.encode(), value.encode()) for name, value in headers.items())
    length = _FRAME_BYTES + len(block) + len(payload)
    prelude = struct.pack(">II", length, len(block))
    message = prelude + _CRC.pack(crc32(prelude)) + block + payload
    return message + _CRC.pack(crc32(message))


def _header(name: bytes, value: bytes) -> bytes:
    return bytes((len(name),)) + name + bytes((_TEXT,)) + _LENGTH.pack(len(value)) + value
