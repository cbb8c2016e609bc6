"""JSON bodies, read strictly: what does not fit is refused by its place, in the codes that OpenAI's API has for it."""

from __future__ import annotations

import re
from typing import TypeVar

import msgspec

from trunkline.errors import InvalidRequest

T = TypeVar("T")

_PLACE = re.compile(r"(?s)(.*) - at `(?:key in )?\$\.?([^`]*)`")
_FIELD = re.compile(r"Object (?:missing required|contains unknown) field `(\w+)`")
_CODES = (
    ("Object missing required", "missing_required_parameter"),
    ("Object contains unknown", "unknown_parameter"),
    ("Expected `str` of length <=", "string_above_max_length"),
    ("Expected `array` of length <=", "array_above_max_length"),
    ("Expected `int` >=", "integer_below_min_value"),
    ("Expected `int` <=", "integer_above_max_value"),
    ("Expected `float` >=", "decimal_below_min_value"),
    ("Expected `float` <=", "decimal_above_max_value"),
    ("Expected `str` matching", "invalid_value"),
    ("Expected `", "invalid_type"),
)


def read(decoder: msgspec.json.Decoder[T], body: bytes | msgspec.Raw, within: str = "") -> T:
    """What `decoder` makes of `body`, which stands at `within` in the request.

    Raises InvalidRequest with `param` in OpenAI's spelling (`input[0].content[1].text`).
    """
    try:
        return decoder.decode(body)
    except RecursionError:
        raise InvalidRequest("the body is nested too deeply", code="invalid_json") from None
    except msgspec.ValidationError as error:
        raise refusal_of(error, within) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidRequest(f"the body is not JSON: {str(error)[:200]}", code="invalid_json") from None


def refusal_of(error: msgspec.ValidationError, within: str = "") -> InvalidRequest:
    """What msgspec says of a value, about the field in OpenAI's spelling."""
    message = str(error)
    place = _PLACE.match(message)
    said, inner = (place[1], place[2]) if place else (message, "")
    if field := _FIELD.match(said):
        inner = f"{inner}.{field[1]}".removeprefix(".")
    param = f"{within}{'' if inner.startswith('[') else '.'}{inner}" if within and inner else within or inner
    code = next((code for start, code in _CODES if said.startswith(start)), "invalid_value")
    return InvalidRequest(f"{param or 'the body'}: {said[:300]}", code=code, param=param[:200] or None)
