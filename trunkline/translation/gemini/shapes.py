"""The shapes of contents, in requests and in answers. Where the reference has a list, one object may stand for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import msgspec
from msgspec import Raw

T = TypeVar("T")


class Blob(msgspec.Struct, gc=False, rename="camel"):
    """`data` is base64, in either of its alphabets."""

    mime_type: str = ""
    data: str = ""
    display_name: str | None = None


class FileData(msgspec.Struct, gc=False, rename="camel"):
    file_uri: str = ""
    mime_type: str | None = None
    display_name: str | None = None


class PartialArg(msgspec.Struct, gc=False, rename="camel"):
    """A piece of an argument, as Vertex AI streams them: https://docs.cloud.google.com/vertex-ai/generative-ai/docs/\
multimodal/function-calling#streaming-fc"""

    json_path: str = ""
    string_value: str | None = None
    number_value: Raw = Raw()
    bool_value: bool | None = None
    null_value: Raw = Raw()


class FunctionCall(msgspec.Struct, gc=False, rename="camel"):
    """`will_continue`: there is more of it in the next one, which has no name."""

    id: str | None = None
    name: str | None = None
    args: Raw = Raw()
    partial_args: list[PartialArg] | None = None
    will_continue: bool | None = None


class MediaPart(msgspec.Struct, gc=False, rename="camel"):
    """Of what a function answered."""

    inline_data: Blob | None = None
    file_data: FileData | None = None


class FunctionResponse(msgspec.Struct, gc=False, rename="camel"):
    id: str | None = None
    name: str | None = None
    response: Raw = Raw()
    parts: list[MediaPart] | MediaPart | None = None
    will_continue: Raw = Raw()
    scheduling: Raw = Raw()


class Part(msgspec.Struct, gc=False, rename="camel"):
    """One of `text` to `tool_response` is there; the last four are Google's own tools at work."""

    text: str | None = None
    thought: bool | None = None
    thought_signature: str | None = None
    function_call: FunctionCall | None = None
    inline_data: Blob | None = None
    file_data: FileData | None = None
    function_response: FunctionResponse | None = None
    executable_code: Raw = Raw()
    code_execution_result: Raw = Raw()
    tool_call: Raw = Raw()
    tool_response: Raw = Raw()
    video_metadata: Raw = Raw()
    media_resolution: Raw = Raw()
    media_processing: Raw = Raw()
    part_metadata: Raw = Raw()

    def hosted(self) -> str | None:
        """The name of the field that only this protocol has, None where it is none of those."""
        return next((name for name in HOSTED if getattr(self, name)), None)


HOSTED = ("executable_code", "code_execution_result", "tool_call", "tool_response")
CAMEL = {"executable_code": "executableCode", "code_execution_result": "codeExecutionResult",
         "tool_call": "toolCall", "tool_response": "toolResponse"}  # fmt: skip


class Content(msgspec.Struct, gc=False):
    parts: list[Part] | Part | None = None
    role: str | None = None


def listed(value: list[T] | T | None) -> Sequence[T]:
    if value is None:
        return ()
    return value if isinstance(value, list) else (value,)
