"""Turns of a Messages conversation: merged as Anthropic merges them, refused where Anthropic refuses them.

Sources: the anthropic package's types/message_create_params.py (first the user, consecutive turns are combined);
https://platform.claude.com/docs/en/agents-and-tools/tool-use/handle-tool-calls (results first, in the next user turn);
https://platform.claude.com/docs/en/build-with-claude/mid-conversation-system-messages (after a user turn);
https://platform.claude.com/docs/en/build-with-claude/extended-thinking (thinking before tool use, in manual mode).
"""

from __future__ import annotations

from typing import Literal

import msgspec

from trunkline.errors import InvalidRequest
from trunkline.providers.sandbox.messages_blocks import (
    Block,
    Document,
    RedactedThinking,
    Text,
    Thinking,
    ToolResult,
    ToolUse,
)

_MOST_MESSAGES = 100_000
_FOR_USER = (ToolResult,)
_FOR_ASSISTANT = (Thinking, RedactedThinking, ToolUse)


class Message(msgspec.Struct):
    role: Literal["user", "assistant", "system"]
    content: str | list[Block]


class Placed(msgspec.Struct, frozen=True):
    """A block and its place in the request, such as `messages.0.content.1`."""

    block: Block
    where: str


class Turn(msgspec.Struct):
    role: str
    blocks: list[Placed]

    @property
    def uses(self) -> dict[str, str]:
        """The ids of the tools used, each with its place."""
        return {each.block.id: each.where for each in self.blocks if isinstance(each.block, ToolUse)}

    @property
    def is_result(self) -> bool:
        """A user turn of tool results and nothing else."""
        return all(isinstance(each.block, ToolResult) for each in self.blocks)


def turns(messages: list[Message]) -> list[Turn]:
    """Raises InvalidRequest with `param` at the first message or block that is not in order."""
    if not messages:
        raise InvalidRequest("messages: at least one message is required", param="messages")
    if len(messages) > _MOST_MESSAGES:
        raise InvalidRequest(f"messages: at most {_MOST_MESSAGES} messages are allowed", param="messages")
    found: list[Turn] = []
    for at, message in enumerate(messages):
        blocks = _placed(message, f"messages.{at}")
        _check_role(message.role, found, f"messages.{at}")
        _check_blocks(message.role, blocks, f"messages.{at}")
        if found and found[-1].role == message.role:
            found[-1].blocks += blocks
        else:
            found.append(Turn(message.role, blocks))
    if found[-1].role == "assistant":
        raise InvalidRequest(
            "This model does not support assistant message prefill. The conversation must end with a user message.",
            param="messages",
        )
    _check_tool_use(found)
    return found


def check_thinking(found: list[Turn]) -> None:
    """In manual mode, the assistant's turn that uses a tool begins with its reasoning, for as long as its loop goes on.

    In adaptive mode nothing is asked for.
    """
    at = len(found) - 1
    while at >= 2 and found[at].role == "user" and found[at].is_result:
        at -= 2
    start = at + 1
    if start < len(found) and not isinstance(found[start].blocks[0].block, Thinking | RedactedThinking):
        place = found[start].blocks[0]
        raise InvalidRequest(
            f"{place.where}.type: Expected `thinking` or `redacted_thinking`, but found `{_kind(place.block)}`. When "
            "`thinking` is enabled, a final `assistant` message must start with a thinking block (preceeding the "
            "lastmost set of `tool_use` and `tool_result` blocks). To avoid this requirement, disable `thinking`.",
            param=place.where,
        )


def check_version_2026(found: list[Turn]) -> None:
    """What the version 2026-10-21 no longer takes in turns.

    Source: https://platform.claude.com/docs/en/api/migration-2026-10-21
    """
    for turn in found:
        for each in turn.blocks:
            if turn.role == "assistant" and isinstance(each.block, Document):
                raise InvalidRequest(f"{each.where}: `document` blocks are not allowed in assistant messages")
            if turn.role == "user" and isinstance(each.block, Text) and each.block.citations:
                raise InvalidRequest(f"{each.where}.citations: citations are not allowed in user messages")


def _kind(block: Block) -> str:
    return str(block.__struct_config__.tag)


def _placed(message: Message, where: str) -> list[Placed]:
    if isinstance(message.content, str):
        return [Placed(Text(text=message.content), f"{where}.content")] if message.content else []
    return [Placed(block, f"{where}.content.{at}") for at, block in enumerate(message.content)]


def _check_role(role: str, before: list[Turn], where: str) -> None:
    if not before and role != "user":
        raise InvalidRequest(f'{where}: the first message must use the "user" role', param=where)
    if role == "system" and before[-1].role == "assistant":
        raise InvalidRequest(f'{where}: a "system" message must follow a "user" message', param=where)


def _check_blocks(role: str, blocks: list[Placed], where: str) -> None:
    if not blocks:
        raise InvalidRequest(f"{where}: {role} messages must have non-empty content", param=where)
    for each in blocks:
        block = each.block
        if isinstance(block, Text) and not block.text:
            raise InvalidRequest(f"{each.where}: text content blocks must be non-empty", param=each.where)
        if isinstance(block, Text) and block.text.isspace():
            raise InvalidRequest(
                f"{each.where}: text content blocks must contain non-whitespace text", param=each.where
            )
        strange = _FOR_ASSISTANT if role == "user" else _FOR_USER
        if isinstance(block, strange) or (role == "system" and not isinstance(block, Text)):
            raise InvalidRequest(
                f"{each.where}: `{_kind(block)}` blocks are not allowed in {role} messages", param=each.where
            )


def _check_tool_use(found: list[Turn]) -> None:
    """Every use has its result at the start of the turn after it, and every result its use in the turn before it."""
    seen: set[str] = set()
    before: dict[str, str] = {}
    for turn in found:
        leading = _leading_results(turn)
        if unanswered := [use for use in before if use not in leading]:
            place = before[unanswered[0]].rpartition(".content")[0]
            raise InvalidRequest(
                f"{place}: `tool_use` ids were found without `tool_result` blocks immediately after: "
                f"{', '.join(unanswered)[:300]}. Each `tool_use` block must have a corresponding `tool_result` block "
                "in the next message.",
                param=place,
            )
        _check_results(turn, before)
        before = turn.uses
        if sum(isinstance(each.block, ToolUse) for each in turn.blocks) != len(before) or seen & before.keys():
            raise InvalidRequest(f"{turn.blocks[0].where}: `tool_use` ids must be unique", param=turn.blocks[0].where)
        seen.update(before)


def _leading_results(turn: Turn) -> set[str]:
    found: set[str] = set()
    for each in turn.blocks:
        if not isinstance(each.block, ToolResult):
            break
        found.add(each.block.tool_use_id)
    return found


def _check_results(turn: Turn, before: dict[str, str]) -> None:
    answered: set[str] = set()
    for each in turn.blocks:
        if not isinstance(each.block, ToolResult):
            continue
        use = each.block.tool_use_id
        if use not in before:
            raise InvalidRequest(
                f"{each.where}: unexpected `tool_use_id` found in `tool_result` blocks: {use[:100]}. Each "
                "`tool_result` block must have a corresponding `tool_use` block in the previous message.",
                param=each.where,
            )
        if use in answered:
            raise InvalidRequest(
                f"{each.where}: each tool_use must have a single result. Found multiple `tool_result` blocks with id: "
                f"{use[:100]}",
                param=each.where,
            )
        answered.add(use)
