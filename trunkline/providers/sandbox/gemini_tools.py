"""The tools of a Gemini request, and which functions may be called.

Sources: https://ai.google.dev/api/caching#Tool and https://ai.google.dev/api/caching#FunctionCallingConfig.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from trunkline.errors import InvalidRequest
from trunkline.providers.sandbox import words
from trunkline.providers.sandbox.gemini_schema import json_schema
from trunkline.providers.sandbox.prompt import Offer, Tools
from trunkline.providers.sandbox.tools import written

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.:-]{0,127}", re.ASCII)
_MODES = ("MODE_UNSPECIFIED", "AUTO", "ANY", "NONE", "VALIDATED")
_MOST_FUNCTIONS = 512


class FunctionDeclaration(msgspec.Struct, rename="camel"):
    name: str | None = None
    description: str | None = None
    parameters: Any = None
    parameters_json_schema: Any = None
    response: Any = None
    response_json_schema: Any = None
    behavior: str | None = None


class Tool(msgspec.Struct, rename="camel"):
    function_declarations: list[FunctionDeclaration] | None = None
    google_search: dict[str, Any] | None = None
    google_search_retrieval: dict[str, Any] | None = None
    google_maps: dict[str, Any] | None = None
    code_execution: dict[str, Any] | None = None
    url_context: dict[str, Any] | None = None
    computer_use: dict[str, Any] | None = None
    file_search: dict[str, Any] | None = None
    mcp_servers: list[Any] | None = None


class FunctionCallingConfig(msgspec.Struct, rename="camel"):
    mode: str | None = None
    allowed_function_names: list[str] | None = None


class ToolConfig(msgspec.Struct, rename="camel"):
    function_calling_config: FunctionCallingConfig | None = None
    retrieval_config: dict[str, Any] | None = None
    include_server_side_tool_invocations: bool | None = None


def offered(tools: list[Tool], config: ToolConfig | None) -> Tools:
    """The functions that may be called now. Google's own tools are not called: the sandbox has none."""
    offers: list[Offer] = []
    for at, tool in enumerate(tools):
        for number, function in enumerate(tool.function_declarations or []):
            where = f"tools[{at}].functionDeclarations[{number}]"
            offer = _offer(function, where)
            if any(offer.name == other.name for other in offers):
                raise InvalidRequest(f"Duplicate function declaration found: {offer.name}", param=where)
            offers.append(offer)
            if len(offers) > _MOST_FUNCTIONS:
                raise InvalidRequest(f"At most {_MOST_FUNCTIONS} function declarations are allowed.", param="tools")
    return _allowed(offers, (config.function_calling_config if config else None) or FunctionCallingConfig())


def tokens_of(tools: list[Tool]) -> int:
    """Words of what the functions are for and of their schemas, and one token for each name."""
    total = 0
    for tool in tools:
        for function in tool.function_declarations or []:
            schema = function.parameters_json_schema or function.parameters or {}
            total += 1 + words.count(function.description or "") + words.count(written(schema))
    return total


def _offer(function: FunctionDeclaration, where: str) -> Offer:
    if not _NAME.fullmatch(function.name or ""):
        raise InvalidRequest(
            f"* GenerateContentRequest.{where}.name: Invalid function name. Must start with a letter or an underscore. "
            "Must be alphanumeric (a-z, A-Z, 0-9), underscores (_), dots (.), colons (:), or dashes (-), with a "
            "maximum length of 128.",
            param=f"{where}.name",
        )
    if function.parameters is not None and function.parameters_json_schema is not None:
        raise InvalidRequest(
            f"* GenerateContentRequest.{where}: parameters and parameters_json_schema are mutually exclusive",
            param=where,
        )
    name = function.name or ""
    if function.parameters_json_schema is not None:
        return Offer(name, function.parameters_json_schema, f"{where}.parametersJsonSchema")
    if function.parameters is None:
        return Offer(name, None, f"{where}.parameters")
    schema = json_schema(function.parameters, f"{where}.parameters")
    if schema.get("type") != "object":
        raise InvalidRequest(
            f"* GenerateContentRequest.{where}.parameters: functionDeclaration parameters schema should be of type "
            "OBJECT.",
            param=f"{where}.parameters",
        )
    return Offer(name, schema, f"{where}.parameters")


def _allowed(offers: list[Offer], config: FunctionCallingConfig) -> Tools:
    place = "toolConfig.functionCallingConfig"
    mode = (config.mode or "AUTO").upper()
    if mode not in _MODES:
        raise InvalidRequest(f"Invalid value at 'tool_config.function_calling_config.mode': {mode[:60]}", param=place)
    if config.mode is not None and mode not in ("NONE", "AUTO", "MODE_UNSPECIFIED") and not offers:
        raise InvalidRequest("Function calling config is set without function_declarations.", param=place)
    names = config.allowed_function_names or []
    if names and mode not in ("ANY", "VALIDATED"):
        raise InvalidRequest(
            "allowed_function_names should be set only when the function calling mode is ANY or VALIDATED.", param=place
        )
    if missing := sorted(set(names) - {offer.name for offer in offers}):
        raise InvalidRequest(f"allowed_function_names has no declaration of {missing[0][:128]!r}.", param=place)
    if mode == "NONE":
        return Tools()
    may = [offer for offer in offers if not names or offer.name in names]
    return Tools(offers=may, must_call=mode == "ANY")
