"""Bodies that no caller should send, for any route: what each is, and the statuses that may answer it."""

from __future__ import annotations

import json
from collections.abc import Callable

from tests.acceptance.surfaces import Surface


def nested(depth: int, opening: bytes, closing: bytes) -> bytes:
    return opening * depth + closing * depth


def bodies(surface: Surface) -> dict[str, tuple[bytes, set[int]]]:
    """name: (body, statuses that may answer it)."""
    good = json.dumps(surface.body).encode()
    main = surface.main.encode()
    other = main[:1] + main[1:].upper()

    def beside(value: bytes, name: bytes = b"metadata") -> bytes:
        return good[:-1] + b',"' + name + b'":' + value + b"}"

    def instead(value: bytes, field: str = surface.main) -> bytes:
        left = {name: member for name, member in surface.body.items() if name != field}
        return json.dumps(left).encode()[:-1] + (b"," if left else b"") + b'"%b":%b}' % (field.encode(), value)

    either = {200, 400, 404}
    found = {
        "empty": (b"", {400}),
        "blank": (b" \r\n\t ", {400}),
        "no JSON": (b"hello", {400}),
        "cut": (good[:-3], {400}),
        "two values": (good + b"{}", {400}),
        "an array": (b"[]", {400}),
        "null": (b"null", {400}),
        "a BOM": (b"\xef\xbb\xbf" + good, {400}),
        "UTF-16": (good.decode().encode("utf-16"), {400}),
        "NUL": (good + b"\x00", {400}),
        "invalid UTF-8": (beside(b'"\xff\xfe"'), {400}),
        "overlong UTF-8": (beside(b'"\xc0\xaf"'), {400}),
        "a surrogate in UTF-8": (beside(b'"\xed\xa0\x80"'), {400}),
        "invalid UTF-8 in the prompt": (instead(b'"\xc3("'), {400}),
        "NaN": (beside(b"NaN", b"temperature"), {400}),
        "Infinity below": (beside(b'{"a":-Infinity}'), {400}),
        "1e400": (beside(b"1e400", b"temperature"), either),
        "10,000 digits": (beside(b"1" * 10_000, b"max_output_tokens"), either),
        "a huge exponent": (beside(b"1e" + b"9" * 10_000, b"top_p"), either),
        "half a surrogate pair in a name": (beside(b"1", b"\\udfff"), either),
        "half a surrogate pair": (beside(b'"\\udfff"', b"user"), either),
        "half a surrogate pair in the prompt": (good.replace(b'"hi"', b'"\\udc00x"'), either),
        "a name twice": (beside(b"1", b"dup")[:-1] + b',"dup":2}', {400}),
        "the prompt twice": (beside(b"1", main), {400}),
        "in other letters": (beside(b"1", other), either if surface.path.endswith("/rerank") else {400}),
        "spelled with escapes": (instead(b'"x"', f"\\u{ord(surface.main[0]):04x}{surface.main[1:]}"), {400}),
        "10,000 arrays": (beside(nested(10_000, b"[", b"]")), {400}),
        "100,000 objects": (beside(nested(100_000, b'{"a":', b"1}")), {400}),
        "100,000 arrays at the top": (nested(100_000, b"[", b"]"), {400}),
        "an unclosed depth": (b"[" * 100_000, {400}),
        "a deep prompt": (instead(nested(10_000, b"[", b"]")), {400}),
        "a prompt as deep as can be read": (instead(nested(500, b'[{"content":', b"}]")), {400}),
        "a prompt of null": (instead(b"null"), either),
        "a prompt of a number": (instead(b"1"), {400}),
        "a prompt of nulls": (instead(b"[null]"), {400}),
        "a prompt of arrays": (instead(b"[[]]"), {400}),
        "a prompt of nothing": (instead(b"[]"), either),
    }
    return found | _models(surface, instead) if surface.model else found


def _models(surface: Surface, instead: Callable[[bytes, str], bytes]) -> dict[str, tuple[bytes, set[int]]]:
    without = {name: value for name, value in surface.body.items() if name != "model"}
    return {
        "no model": (json.dumps(without).encode(), {200, 400, 404}),
        "a number for a model": (instead(b"1", "model"), {400}),
        "a long model": (instead(b'"' + b"m" * 100_000 + b'"', "model"), {400}),
        "a model of line breaks": (instead(b'"sandbox/echo\\r\\nx-injected: 1"', "model"), {404}),
        "a model of a path": (instead(b'"../../etc/passwd"', "model"), {404}),
        "a template for a model": (instead(b'"{{7*7}}${7*7}"', "model"), {404}),
        "a model of NUL": (instead(b'"sandbox/\\u0000"', "model"), {404}),
    }
