"""What providers say when something went wrong, in all the forms they say it."""

from __future__ import annotations

import html
import re
from typing import Any

import msgspec
from msgspec import Raw

from trunkline.wire import codec
from trunkline.wire.codec import Fields, encode


class ErrorFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What a provider said went wrong, as it said it: the message may hold anything and is at most 4,096 characters.
    `status` is an HTTP status that the body itself names, by its number or by a type that stands for one."""

    message: str
    type: str | None = None
    code: str | None = None
    param: str | None = None
    status: int | None = None


# Types that stand for a status, where an event in the middle of an answer names none:
# https://platform.claude.com/docs/en/api/errors
_STATUSES = {"rate_limit_error": 429, "timeout_error": 504, "overloaded_error": 529}
_NO_ERROR = frozenset((b"", b"null", b"false", b"{}", b'""', b"[]", b"0"))
MAX_MESSAGE = 4096


def is_error(raw: Raw) -> bool:
    return bool(raw) and bytes(raw) not in _NO_ERROR


def error_in(fields: Fields) -> ErrorFacts | None:
    """The failure that an answer or an event tells of, in any of the dialects seen; None when it tells of none."""
    error = fields.get("error")
    if error is not None and is_error(error):
        return _facts(_loosely(error), fields)
    if fields.get("choices") is not None:
        return None
    if "detail" in fields:
        return _facts({"message": _detail(_loosely(fields["detail"]))}, fields)
    if "message" in fields and "id" not in fields:
        return _facts({name: _loosely(raw) for name, raw in fields.items()}, fields)
    return None


def read_error(body: bytes) -> ErrorFacts:
    """The body of any answer that is not a success, in whatever form it came:

    OpenAI's and Anthropic's envelopes; `{"error": "text"}` (mlx_lm, Ollama); `{"detail": text or list}` (FastAPI);
    `{"message": text}` (Mistral, older vLLM); `[{"error": {...}}]` (Gemini); plain text; an HTML page.
    """
    fields = codec.answer_fields(body)
    if fields is None:
        values = _loosely(body)
        if isinstance(values, list) and values and isinstance(values[0], dict):
            fields = codec.answer_fields(encode(values[0]))
    if fields is not None:
        return error_in(fields) or ErrorFacts(message="")
    return ErrorFacts(message=_plain_text(body))


def _loosely(raw: Raw | bytes) -> Any:
    """Any JSON, as Python's own types; None when it cannot be read."""
    try:
        return msgspec.json.decode(raw)
    except codec.UNREADABLE:
        return None


def _facts(said: Any, fields: Fields) -> ErrorFacts:
    if not isinstance(said, dict):
        said = {"message": said}
    code = said.get("code", _loosely(fields["code"]) if "code" in fields else None)
    status = said.get("status", _loosely(fields["status"]) if "status" in fields else None)
    number = next((n for n in (code, status) if isinstance(n, int) and 400 <= n <= 599), None)
    if number is None and isinstance(code, str) and re.fullmatch("[45][0-9][0-9]", code):
        number = int(code)
    kind = _short(said.get("type"))
    message = said.get("message")
    if not isinstance(message, str):
        message = _detail(message) if message is not None else ""
    return ErrorFacts(
        message=message[:MAX_MESSAGE],
        type=kind,
        code=_short(code),
        param=_short(said.get("param")),
        status=_STATUSES.get(kind or "") if number is None else number,
    )


def _short(value: Any) -> str | None:
    if isinstance(value, str):
        return value[:256] or None
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else None


def _detail(value: Any) -> str:
    """FastAPI's `detail`: a sentence, or a list of what was wrong where."""
    if isinstance(value, str):
        return value
    if isinstance(value, list) and value and all(isinstance(part, dict) for part in value):
        return "; ".join(f"{_place(part.get('loc'))}: {part.get('msg', '')}".lstrip(": ") for part in value)
    return encode(value).decode() if value is not None else ""


def _place(loc: Any) -> str:
    return ".".join(map(str, loc)) if isinstance(loc, list) else ""


_TITLE = re.compile(r"<(?:title|h1)[^>]*>(.*?)</", re.IGNORECASE | re.DOTALL)


def _plain_text(body: bytes) -> str:
    """Plain text as it is; of an HTML page its title. Of JSON that breaks off nothing: it may be an answer, or repeat
    the request, and what is an error's message is written into logs."""
    text = body[: 4 * MAX_MESSAGE].decode("utf-8", "replace").strip()
    if text.startswith(("{", "[{", "[[", '["')):
        return ""
    if text.startswith("<"):
        title = _TITLE.search(text)
        text = html.unescape(re.sub(r"<[^>]*>", " ", title[1])).strip() if title else ""
    return text[:MAX_MESSAGE]
