"""Turns of a Gemini conversation, refused where Google refuses them.

Sources: https://ai.google.dev/gemini-api/docs/thought-signatures for what must come back, and the two values that stand
for a signature that nobody has; the sentences are those that Google's API answers with.
"""

from __future__ import annotations

import binascii
from base64 import b64decode

from trunkline.errors import InvalidRequest
from trunkline.providers.sandbox import sealed
from trunkline.providers.sandbox.gemini_parts import DATA, Content, Part

CALL = "gemini call"
TEXT = "gemini text"
"""What a thought signature is sealed as, on a function call (with the function's name before it) and on a text."""

PASSES = ("context_engineering_is_the_way_to_go", "skip_thought_signature_validator")

_ROLES = (None, "", "user", "model", "function")
_AFTER_USER = (
    "Please ensure that function call turn comes immediately after a user turn or after a function response turn."
)
_AFTER_CALL = "Please ensure that function response turn comes immediately after a function call turn."
_SAME_NUMBER = (
    "Please ensure that the number of function response parts is equal to the number of function call parts of the "
    "function call turn."
)


def check(contents: list[Content]) -> None:
    """Raises InvalidRequest with `param` at the first content or part that is not in order."""
    if not contents:
        raise InvalidRequest("* GenerateContentRequest.contents: contents is not specified", param="contents")
    for at, content in enumerate(contents):
        if content.role not in _ROLES:
            raise InvalidRequest("Please use a valid role: user, model.", param=f"contents[{at}].role")
        check_parts(content, f"contents[{at}]")
    before: Content | None = None
    for at, turn in merged(contents):
        _check_turn(turn, before, f"contents[{at}]")
        before = turn
    if before is not None and before.calls:
        raise InvalidRequest(_SAME_NUMBER, param="contents")


def merged(contents: list[Content]) -> list[tuple[int, Content]]:
    """Turns, each with the place where it begins: Google's own client sends the chunks of a streamed answer back as so
    many contents."""
    turns: list[tuple[int, Content]] = []
    for at, content in enumerate(contents):
        role = "model" if content.role == "model" else "user"
        if turns and turns[-1][1].role == role:
            parts = turns[-1][1].parts
            assert parts is not None, "made below"
            parts += content.parts or []
        else:
            turns.append((at, Content(list(content.parts or []), role)))
    return turns


def check_parts(content: Content, where: str) -> None:
    if not content.parts:
        raise InvalidRequest(
            f"* GenerateContentRequest.{where}.parts: contents.parts must not be empty.", param=f"{where}.parts"
        )
    for at, part in enumerate(content.parts):
        place = f"{where}.parts[{at}]"
        given = [name for name in DATA if getattr(part, name) is not None]
        if not given:
            raise InvalidRequest(
                f"* GenerateContentRequest.{place}.data: required oneof field 'data' must have one initialized field",
                param=place,
            )
        if len(given) > 1:
            raise InvalidRequest(
                f"Invalid value at '{place}' (oneof), oneof field 'data' is already set. Cannot set '{given[1]}'",
                param=place,
            )
        _check_names(part, place)


def check_signatures(contents: list[Content], *, required: bool) -> None:
    """Every signature is one that was given for such a part; with `required`, the first call of each step since the
    user last spoke has one."""
    for at, content in enumerate(contents):
        for number, part in enumerate(content.parts or []):
            if part.thought_signature and not _is_genuine(part, part.thought_signature):
                raise InvalidRequest(
                    "Corrupted thought signature.", param=f"contents[{at}].parts[{number}].thoughtSignature"
                )
    if not required:
        return
    turns = merged(contents)
    spoken = max((at for at, (_, turn) in enumerate(turns) if turn.role == "user" and not turn.is_response), default=-1)
    for at, turn in turns[spoken + 1 :]:
        first = next((part for part in turn.parts or [] if part.function_call is not None), None)
        if first is not None and first.function_call is not None and not first.thought_signature:
            raise InvalidRequest(
                "Function call is missing a thought_signature in functionCall parts. This is required for tools to "
                "work correctly, and missing thought_signature may lead to degraded model performance. Additional "
                f"data, function call `default_api:{(first.function_call.name or '')[:128]}` , position {at + 1}. "
                "Please refer to https://ai.google.dev/gemini-api/docs/thought-signatures for more details.",
                param=f"contents[{at}]",
            )


def _check_names(part: Part, place: str) -> None:
    for name in ("function_call", "function_response"):
        named = getattr(part, name)
        if named is not None and not named.name:
            raise InvalidRequest(
                f"* GenerateContentRequest.{place}.{name}.name: Name cannot be empty.", param=f"{place}.{name}"
            )


def _check_turn(content: Content, before: Content | None, where: str) -> None:
    calls, responses = content.calls, content.responses
    if calls and (content.role != "model" or before is None or before.role == "model"):
        raise InvalidRequest(_AFTER_USER, param=where)
    asked = before.calls if before is not None else []
    if responses and (content.role == "model" or not asked):
        raise InvalidRequest(_AFTER_CALL, param=where)
    if len(responses) != len(asked):
        raise InvalidRequest(_SAME_NUMBER, param=where)
    if sorted(call.name or "" for call in asked) != sorted(each.name or "" for each in responses):
        raise InvalidRequest("The function response names do not match the function call names.", param=where)
    ids = {call.id for call in asked if call.id}
    if ids and any(each.id and each.id not in ids for each in responses):
        raise InvalidRequest("The function response ids do not match the function call ids.", param=where)


def _is_genuine(part: Part, signature: str) -> bool:
    if part.function_call is None:
        return _is_pass(signature) or sealed.unseal(TEXT, _url_safe(signature)) is not None
    text = sealed.unseal(CALL, _url_safe(signature))
    return _is_pass(signature) or (text is not None and text.startswith(f"{part.function_call.name}\n"))


def _is_pass(signature: str) -> bool:
    """Whether it is one of PASSES, as it stands or as the bytes that the field is said to hold."""
    if signature in PASSES:
        return True
    try:
        return b64decode(_url_safe(signature), altchars=b"-_").decode("ascii") in PASSES
    except (binascii.Error, ValueError):
        return False


def _url_safe(signature: str) -> str:
    """Bytes may be spelled in either alphabet of base64, with its padding or without."""
    plain = signature.replace("+", "-").replace("/", "_").rstrip("=")
    return plain + "=" * (-len(plain) % 4)
