"""The tools of a Messages request, and which of them may be called.

Sources: the anthropic package's types/tool_param.py and tool_choice_*_param.py; for what forced use and thinking may
not do together https://platform.claude.com/docs/en/build-with-claude/extended-thinking.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from trunkline.errors import InvalidRequest
from trunkline.providers.sandbox.messages_blocks import CacheControl
from trunkline.providers.sandbox.prompt import Offer, Tools

_SERVER_TOOL = re.compile(
    r"(web_search|web_fetch|bash|text_editor|code_execution|memory|computer_toolset|browser_toolset|mcp_toolset|computer"
    r"|tool_search_tool_(bm25|regex))_\d{8}"
)
_UNIONS = ("oneOf", "allOf", "anyOf")


class Tool(msgspec.Struct, kw_only=True):
    """A client tool; of a server tool only `type` and `name` are looked at."""

    name: Annotated[str, Meta(pattern=r"^[a-zA-Z0-9_-]{1,128}$")] = ""
    type: str | None = None
    input_schema: dict[str, Any] | None = None
    description: str | None = None
    strict: bool | None = None
    input_examples: list[dict[str, Any]] | None = None
    allowed_callers: list[str] | None = None
    defer_loading: bool | None = None
    eager_input_streaming: bool | None = None
    cache_control: CacheControl | None = None

    @property
    def is_custom(self) -> bool:
        return self.type in (None, "custom")


class ToolChoice(msgspec.Struct, kw_only=True):
    type: Literal["auto", "any", "tool", "none"]
    name: str | None = None
    disable_parallel_tool_use: bool | None = None

    @property
    def forces(self) -> bool:
        return self.type in ("any", "tool")


def offered(tools: list[Tool], choice: ToolChoice | None) -> Tools:
    """The client tools that may be called now. Server tools are not called: the sandbox has none."""
    offers: list[Offer] = []
    names: set[str] = set()
    for at, tool in enumerate(tools):
        _check(tool, f"tools.{at}")
        if tool.name in names:
            raise InvalidRequest("tools: Tool names must be unique.", param="tools")
        names.add(tool.name)
        if tool.is_custom:
            offers.append(Offer(tool.name, tool.input_schema, f"tools.{at}.custom.input_schema"))
    if choice is None:
        return Tools(offers=offers)
    return _chosen(offers, choice, named=bool(tools))


def _chosen(offers: list[Offer], choice: ToolChoice, *, named: bool) -> Tools:
    if choice.type == "none":
        return Tools()
    if not named:
        raise InvalidRequest("tool_choice: may only be specified while providing tools.", param="tool_choice")
    parallel = not choice.disable_parallel_tool_use
    if choice.type != "tool":
        return Tools(offers=offers, must_call=choice.forces and bool(offers), parallel=parallel)
    if choice.name is None:
        raise InvalidRequest("tool_choice.tool.name: Field required", param="tool_choice")
    one = [offer for offer in offers if offer.name == choice.name]
    if not one:
        raise InvalidRequest(
            f"tool_choice: Tool '{choice.name[:128]}' not found in provided tools", param="tool_choice"
        )
    return Tools(offers=one, must_call=True, parallel=parallel)


def _check(tool: Tool, where: str) -> None:
    if not tool.is_custom:
        if not _SERVER_TOOL.fullmatch(tool.type or ""):
            raise InvalidRequest(
                f"{where}: Input tag '{(tool.type or '')[:60]}' found using 'type' does not match any of the expected "
                "tags: 'custom', and those of server tools",
                param=where,
            )
        return
    if not tool.name:
        raise InvalidRequest(f"{where}.custom.name: Field required", param=where)
    if tool.input_schema is None:
        raise InvalidRequest(f"{where}.custom.input_schema: Field required", param=where)
    if tool.input_schema.get("type") != "object":
        raise InvalidRequest(f"{where}.custom.input_schema.type: Input should be 'object'", param=where)
    if any(keyword in tool.input_schema for keyword in _UNIONS):
        raise InvalidRequest(
            f"{where}.custom.input_schema: input_schema does not support oneOf, allOf, or anyOf at the top level",
            param=where,
        )
