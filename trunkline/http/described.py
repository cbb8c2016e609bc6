"""Routes that read what they are sent strictly, answer in exact bytes, and are described by the same structs."""

from __future__ import annotations

from typing import Any, TypeVar, cast
from urllib.parse import parse_qsl

import msgspec
from litestar import MediaType, Request, Response
from litestar.openapi.spec import Operation

from trunkline.errors import InvalidRequest
from trunkline.http.body import check_media_type
from trunkline.providers.sandbox.json_body import refusal_of
from trunkline.wire import codec

Json = dict[str, Any]
Call = Request[Any, Any, Any]
T = TypeVar("T", bound=msgspec.Struct)


class Nothing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A body or a query without fields."""


async def read_body(request: Call, kind: type[T]) -> T:
    """The JSON body as `kind`; no body at all is an empty object. Raises InvalidRequest, naming the field."""
    check_media_type(dict(request.scope["headers"]))
    body = await request.body() or b"{}"
    names = frozenset(field.encode_name for field in msgspec.structs.fields(kind))
    codec.fields(body, names)
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        raise refusal_of(error) from None


def read_query(request: Call, kind: type[T]) -> T:
    """The query as `kind`, whose numbers and flags are read out of text. Raises InvalidRequest, naming the field."""
    found: dict[str, str] = {}
    for name, value in parse_qsl(request.scope["query_string"].decode("ascii", "replace"), keep_blank_values=True):
        if name in found:
            raise InvalidRequest(f"'{name[:64]}' is given twice; send it once.", param=name[:64])
        found[name] = value
    try:
        return msgspec.convert(found, kind, strict=False)
    except msgspec.ValidationError as error:
        raise refusal_of(error) from None


def reply(answer: object, status: int = 200) -> Response[bytes]:
    return Response(codec.encode(answer), status_code=status, media_type=MediaType.JSON)


def described(
    answer: Any, *, body: type[msgspec.Struct] | None = None, query: type[msgspec.Struct] | None = None
) -> type[Operation]:
    """What stands in the OpenAPI document about a route: `operation_class=described(Answer, body=Asked)`."""

    class Described(Operation):
        def __init__(self, **fields: Any) -> None:
            super().__init__(**fields)
            # The library writes whatever mappings it finds here as they are.
            if body is not None:
                required = any(field.required for field in msgspec.structs.fields(body))
                self.request_body = cast("Any", {"required": required, "content": _content(body)})
            if query is not None:
                self.parameters = [*(self.parameters or ()), *_parameters(query)]
            success = min(status for status in self.responses or () if status.startswith("2"))
            self.responses = cast("Any", {success: {"description": _first_line(answer), "content": _content(answer)}})

    return Described


def _content(kind: Any) -> Json:
    return {"application/json": {"schema": _schema(kind)}}


def _parameters(kind: type[msgspec.Struct]) -> list[Any]:
    schema = _schema(kind)
    needed = schema.get("required", ())
    return [
        {
            "name": name,
            "in": "query",
            "required": name in needed,
            "description": one.get("description", ""),
            "schema": {key: value for key, value in one.items() if key != "description"},
        }
        for name, one in schema["properties"].items()
    ]


def _first_line(kind: Any) -> str:
    said = kind.__doc__ if isinstance(kind, type) and issubclass(kind, msgspec.Struct) else None
    return (said or "The answer.").strip().splitlines()[0]


def _schema(kind: Any) -> Json:
    """With every part in its place: these shapes are small, and none holds itself."""
    (schema,), parts = msgspec.json.schema_components([kind], ref_template="#/$defs/{name}")
    inlined: Json = _inlined(schema, parts)
    return inlined


def _inlined(value: Any, parts: Json) -> Any:
    if isinstance(value, dict):
        if "$ref" in value:
            rest = {key: one for key, one in value.items() if key != "$ref"}
            return {**_inlined(parts[value["$ref"].rpartition("/")[2]], parts), **rest}
        return {key: _inlined(one, parts) for key, one in value.items()}
    if isinstance(value, list):
        return [_inlined(one, parts) for one in value]
    return value
