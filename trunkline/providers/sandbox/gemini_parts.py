"""Contents of Gemini requests: who says what, in parts.

Sources: https://ai.google.dev/api/caching#Content and the `google-genai` package's types.py (Part, FunctionCall,
FunctionResponse), of which only what Google's API for developers takes is here.
"""

from __future__ import annotations

from typing import Any

import msgspec

from trunkline.providers.sandbox import words
from trunkline.providers.sandbox.tools import written

DATA = (
    "text",
    "inline_data",
    "file_data",
    "function_call",
    "function_response",
    "executable_code",
    "code_execution_result",
    "tool_call",
    "tool_response",
)
"""Of these a part has exactly one."""


class Blob(msgspec.Struct, rename="camel"):
    mime_type: str | None = None
    data: str | None = None
    display_name: str | None = None


class FileData(msgspec.Struct, rename="camel"):
    mime_type: str | None = None
    file_uri: str | None = None
    display_name: str | None = None


class FunctionCall(msgspec.Struct):
    id: str | None = None
    name: str | None = None
    args: dict[str, Any] | None = None


class FunctionResponsePart(msgspec.Struct, rename="camel"):
    inline_data: Blob | None = None
    file_data: FileData | None = None


class FunctionResponse(msgspec.Struct, rename="camel"):
    id: str | None = None
    name: str | None = None
    response: dict[str, Any] | None = None
    parts: list[FunctionResponsePart] | None = None
    will_continue: bool | None = None
    scheduling: str | None = None


class Part(msgspec.Struct, rename="camel"):
    text: str | None = None
    inline_data: Blob | None = None
    file_data: FileData | None = None
    function_call: FunctionCall | None = None
    function_response: FunctionResponse | None = None
    executable_code: dict[str, Any] | None = None
    code_execution_result: dict[str, Any] | None = None
    tool_call: dict[str, Any] | None = None
    tool_response: dict[str, Any] | None = None
    thought: bool | None = None
    thought_signature: str | None = None
    video_metadata: dict[str, Any] | None = None
    media_resolution: Any = None
    media_processing: Any = None
    part_metadata: dict[str, Any] | None = None

    @property
    def said(self) -> str | None:
        """Its text, when that is meant for the other side."""
        return None if self.thought else self.text


class Content(msgspec.Struct):
    parts: list[Part] | None = None
    role: str | None = None

    @property
    def calls(self) -> list[FunctionCall]:
        return [part.function_call for part in self.parts or [] if part.function_call is not None]

    @property
    def responses(self) -> list[FunctionResponse]:
        return [part.function_response for part in self.parts or [] if part.function_response is not None]

    @property
    def is_response(self) -> bool:
        """Function responses and nothing else."""
        return all(part.function_response is not None for part in self.parts or [])


def tokens_of(content: Content) -> int:
    """Words; a call costs a token for its name besides. Thoughts of earlier answers cost nothing."""
    total = 0
    for part in content.parts or []:
        total += words.count(part.said or "")
        if part.function_call is not None:
            total += 1 + words.count(written(part.function_call.args or {}))
        if part.function_response is not None:
            total += words.count(written(part.function_response.response or {}))
    return total
