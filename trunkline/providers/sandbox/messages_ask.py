"""A Messages request understood: what the model is asked, and how its answer is to be written."""

from __future__ import annotations

from typing import Literal

import msgspec

from trunkline.errors import InvalidRequest, NotFound
from trunkline.providers.sandbox import directives, images, messages_schema, messages_tools, naming, sealed, words
from trunkline.providers.sandbox import prompt as prompts
from trunkline.providers.sandbox.messages_blocks import (
    Base64Image,
    Block,
    CacheControl,
    Document,
    FileSource,
    Image,
    RedactedThinking,
    Text,
    Thinking,
    ToolReference,
    ToolResult,
    ToolUse,
    texts_of,
)
from trunkline.providers.sandbox.messages_cache import Segment
from trunkline.providers.sandbox.messages_request import (
    VERSIONS,
    CountRequest,
    MessagesRequest,
    Versions,
    check_sampling,
    check_thinking_wish,
    decoded,
    interleaves,
    thinks,
    versions_of,
)
from trunkline.providers.sandbox.messages_tools import Tool
from trunkline.providers.sandbox.messages_turns import Placed, Turn, check_thinking, check_version_2026, turns
from trunkline.providers.sandbox.prompt import Form, Prompt
from trunkline.providers.sandbox.reply import Bounds
from trunkline.providers.sandbox.tools import written
from trunkline.wire import codec

THINKING = "messages thinking"
REDACTED = "messages redacted thinking"
"""What a thinking block's signature and a redacted block's data are sealed as."""

_MOST_BREAKPOINTS = 4
_CACHEABLE = Text | Image | Document | ToolUse | ToolResult | ToolReference


class MessagesAsk(msgspec.Struct, frozen=True, kw_only=True):
    """`name` is the model's as it was asked for, `model` the sandbox's own. `message` is the text that was asked, as
    it came. `shows` is how reasoning is shown."""

    name: str
    model: str
    prompt: Prompt
    message: str
    segments: list[Segment]
    bounds: Bounds = Bounds()
    stream: bool = False
    shows: Literal["summarized", "omitted"] = "summarized"


def read(body: bytes, headers: dict[bytes, bytes]) -> MessagesAsk:
    """Raises InvalidRequest, or NotFound for a model or a file that the sandbox does not have."""
    versions = versions_of(headers)
    request = decoded(body, MessagesRequest, versions)
    check_sampling(request)
    ask = _ask(request, versions)
    bounds = Bounds(tokens=min(request.max_tokens, words.MOST_TOKENS), stops=request.stop_sequences or [])
    return msgspec.structs.replace(ask, bounds=bounds, stream=request.stream is True)


def count(body: bytes, headers: dict[bytes, bytes]) -> int:
    """The tokens of a prompt, as the answer to it would count them."""
    versions = versions_of(headers)
    return _ask(decoded(body, CountRequest, versions), versions).prompt.tokens


def _ask(request: CountRequest, versions: Versions) -> MessagesAsk:
    model = naming.bare(request.model)
    if model is None:
        raise NotFound(f"model: {request.model[:200]}", param="model")
    check_thinking_wish(request, versions)
    talk = turns(request.messages)
    if versions.api != VERSIONS[0]:
        check_version_2026(talk)
    _check_reasoning(talk)
    wish = request.thinking
    if wish is not None and wish.type == "enabled":
        check_thinking(talk)
    message, told = _obey(talk, model)
    segments = _segments(request, talk)
    return MessagesAsk(
        name=request.model.casefold(),
        model=model,
        prompt=_prompt(request, talk, told, segments, versions),
        message=message,
        segments=segments,
        shows=(wish.display if wish else None) or "summarized",
    )


def _obey(talk: list[Turn], model: str) -> tuple[str, directives.Directives]:
    """The asked text as it came, and what its directives say; they are taken out of the turn."""
    turn = _asked(talk)
    if turn is None:
        return "", directives.NONE
    places = [at for at, each in enumerate(turn.blocks) if isinstance(each.block, Text)]
    texts = [texts_of(turn.blocks[at].block)[0] for at in places]
    left, told = directives.read(texts, model, turn.blocks[places[0]].where if places else "messages")
    for at, text in zip(places, left, strict=True):
        placed = turn.blocks[at]
        turn.blocks[at] = Placed(msgspec.structs.replace(placed.block, text=text), placed.where)
    return "\n".join(texts), told


def _asked(talk: list[Turn]) -> Turn | None:
    """The last turn of the user that is more than tool results."""
    return next((turn for turn in reversed(talk) if turn.role == "user" and not turn.is_result), None)


def _prompt(
    request: CountRequest, talk: list[Turn], told: directives.Directives, segments: list[Segment], versions: Versions
) -> Prompt:
    asked = _asked(talk)
    said = [each.block.text for each in asked.blocks if isinstance(each.block, Text)] if asked else []
    ends_in_results = talk[-1].role == "user" and talk[-1].is_result
    results = [_result(each) for each in talk[-1].blocks if isinstance(each.block, ToolResult)]
    return Prompt(
        text="\n".join(said),
        tokens=max(sum(segment.tokens for segment in segments), 1),
        told=told,
        images=_images(talk, asked),
        results=results if ends_in_results else [],
        tools=messages_tools.offered(request.tools or [], request.tool_choice),
        form=_form(request),
        effort=_effort(request, versions, ends_in_results=ends_in_results),
    )


def _effort(request: CountRequest, versions: Versions, *, ends_in_results: bool) -> str:
    """How much is thought now: in manual mode only at the start of a turn, unless thinking is interleaved.

    Source: https://platform.claude.com/docs/en/build-with-claude/extended-thinking, interleaved thinking.
    """
    wish = request.thinking
    if wish is None or not thinks(wish):
        return "none"
    if wish.type == "enabled" and ends_in_results and not interleaves(versions):
        return "none"
    if wish.type == "between_tools" and not ends_in_results:
        return "none"
    return (request.output_config.effort if request.output_config else None) or "medium"


def _form(request: CountRequest) -> Form | None:
    wanted = request.output_config.format if request.output_config else None
    if wanted is None:
        return None
    messages_schema.check(wanted.schema, "output_config.format.schema")
    return Form(schema=wanted.schema, where="output_config.format.schema")


def _check_reasoning(talk: list[Turn]) -> None:
    """Reasoning comes back as it was given, or with its text left out as it is when `display` is omitted."""
    for turn in talk:
        for placed in turn.blocks:
            block = placed.block
            if isinstance(block, Thinking):
                text = sealed.unseal(THINKING, block.signature)
                if text is None or block.thinking not in ("", text):
                    raise InvalidRequest(f"{placed.where}: Invalid `signature` in `thinking` block", param=placed.where)
            if isinstance(block, RedactedThinking) and sealed.unseal(REDACTED, block.data) is None:
                raise InvalidRequest(f"{placed.where}: Invalid `data` in `redacted_thinking` block", param=placed.where)


def _images(talk: list[Turn], asked: Turn | None) -> list[prompts.Image]:
    """The pictures of the asked turn, and those that tools brought since."""
    start = next((at for at, turn in enumerate(talk) if turn is asked), len(talk))
    found = []
    for turn in talk[start:]:
        for placed in turn.blocks:
            if isinstance(placed.block, Image):
                found.append(_image(placed.block, placed.where))
            if isinstance(placed.block, ToolResult):
                inner = placed.block.content if isinstance(placed.block.content, list) else []
                found += [
                    _image(each, f"{placed.where}.content.{at}")
                    for at, each in enumerate(inner)
                    if isinstance(each, Image)
                ]
    return found


def _image(block: Image, where: str) -> prompts.Image:
    source = block.source
    if isinstance(source, FileSource):
        raise NotFound(f"File not found: {source.file_id[:100]}", param=f"{where}.source.file_id")
    if isinstance(source, Base64Image):
        return prompts.Image(f"data:{source.media_type};base64,{source.data}", f"{where}.source.base64.data")
    return prompts.Image(source.url, f"{where}.source.url.url")


def _result(placed: Placed) -> str:
    """What a tool answered, with a word for each picture, and whether it is an error."""
    block = placed.block
    assert isinstance(block, ToolResult)
    said = [block.content] if isinstance(block.content, str) else []
    for at, each in enumerate([] if isinstance(block.content, str) else block.content or []):
        if isinstance(each, Image):
            picture = _image(each, f"{placed.where}.content.{at}")
            said.append(f"[{images.describe(picture.url, picture.where)}]")
        else:
            said += texts_of(each)
    return " ".join(["(error)", *said] if block.is_error else said)


def _segments(request: CountRequest, talk: list[Turn]) -> list[Segment]:
    """The prompt in the order in which it is cached: tools, system, messages."""
    found = [_segment(tool, "tools", [_cache_ttl(tool.cache_control)]) for tool in request.tools or []]
    system = [Text(text=request.system)] if isinstance(request.system, str) and request.system else request.system or []
    for at, block in enumerate(system):
        assert isinstance(block, Text)
        if not block.text:
            raise InvalidRequest(f"system.{at}: text content blocks must be non-empty", param=f"system.{at}")
        found.append(_segment(block, "system", [_cache_ttl(block.cache_control)]))
    for turn in talk:
        for placed in turn.blocks:
            found.append(_segment(placed.block, turn.role, _marks(placed.block)))
    if request.cache_control is not None and found[-1].ttl is None:
        found[-1] = msgspec.structs.replace(found[-1], ttl=_cache_ttl(request.cache_control))
    _check_breakpoints([segment.ttl for segment in found if segment.ttl])
    return found


def _segment(block: Block | Tool, label: str, marks: list[str | None]) -> Segment:
    ttl = next((mark for mark in reversed(marks) if mark), None)
    plain = _unmarked(block)
    return Segment(label.encode() + b" " + codec.encode(plain), _tokens(plain), ttl)


def _marks(block: Block) -> list[str | None]:
    """The breakpoints in a block; those inside a tool result stand at its end, as it is cached whole."""
    if not isinstance(block, _CACHEABLE):
        return [None]
    inner = block.content if isinstance(block, ToolResult) and isinstance(block.content, list) else []
    return [*(_cache_ttl(each.cache_control) for each in inner), _cache_ttl(block.cache_control)]


def _unmarked(block: Block | Tool) -> Block | Tool:
    """Where breakpoints stand is not part of what is cached."""
    if not isinstance(block, _CACHEABLE | Tool):
        return block
    if isinstance(block, ToolResult) and isinstance(block.content, list):
        content = [msgspec.structs.replace(each, cache_control=None) for each in block.content]
        return msgspec.structs.replace(block, cache_control=None, content=content)
    return msgspec.structs.replace(block, cache_control=None)


def _cache_ttl(control: CacheControl | None) -> str | None:
    return None if control is None else control.ttl or "5m"


def _check_breakpoints(ttls: list[str]) -> None:
    if len(ttls) > _MOST_BREAKPOINTS:
        raise InvalidRequest(
            f"A maximum of {_MOST_BREAKPOINTS} blocks with cache_control may be provided. Found {len(ttls)}."
        )
    if "1h" in ttls[ttls.index("5m") :] if "5m" in ttls else False:
        raise InvalidRequest(
            "a ttl='1h' cache_control block must not come after a ttl='5m' cache_control block. Note that blocks are "
            "processed in the following order: `tools`, `system`, `messages`."
        )


def _tokens(block: Block | Tool) -> int:
    """Words; a tool costs a token for its name besides, and a tool's use too."""
    if isinstance(block, Tool):
        return 1 + words.count(block.description or "") + words.count(written(block.input_schema or {}))
    if isinstance(block, ToolUse):
        return 1 + words.count(written(block.input))
    return sum(words.count(text) for text in texts_of(block))
