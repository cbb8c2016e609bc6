"""Requests in snake_case, made camelCase: Google reads both (https://protobuf.dev/programming-guides/json/).

Only names that are the protocol's own are changed; schemas, arguments and results of functions stay as they came.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec
from msgspec import Raw

from trunkline.errors import InvalidRequest
from trunkline.translation.gemini.vocabulary import begins
from trunkline.wire import codec
from trunkline.wire.codec import Fields, encode

Spec = Mapping[str, Any]
"""The names of an object's fields, each with the spec of the object or objects inside, or None."""

_SNAKE = re.compile(rb'"[a-z]+(?:_[a-z]+)+"[ \t\r\n]*:')
_BLOB: Spec = dict.fromkeys(("mimeType", "data", "displayName"))
_FILE: Spec = dict.fromkeys(("mimeType", "fileUri", "displayName"))
_OF_MEDIA = ("videoMetadata", "mediaResolution", "mediaProcessing", "documentMetadata", "audioMetadata")
_PART: Spec = {
    **dict.fromkeys(("text", "thought", "thoughtSignature", "partMetadata", "speechMetadata", "audioTranscription")),
    **dict.fromkeys(("executableCode", "codeExecutionResult", "toolCall", "toolResponse", *_OF_MEDIA)),
    "inlineData": _BLOB,
    "fileData": _FILE,
    "functionCall": dict.fromkeys(("id", "name", "args")),
    "functionResponse": {
        **dict.fromkeys(("id", "name", "response", "willContinue", "scheduling")),
        "parts": {**dict.fromkeys(_OF_MEDIA), "inlineData": _BLOB, "fileData": _FILE},
    },
}
_CONTENT: Spec = {"role": None, "parts": _PART}
_FUNCTION: Spec = dict.fromkeys(
    ("name", "description", "parameters", "parametersJsonSchema", "response", "responseJsonSchema", "behavior")
)
_HOSTED = ("googleSearch", "googleSearchRetrieval", "googleMaps", "codeExecution", "urlContext", "computerUse",
           "fileSearch", "mcpServers", "enterpriseWebSearch")  # fmt: skip
_CONFIG: Spec = {
    **dict.fromkeys(("temperature", "topP", "topK", "candidateCount", "maxOutputTokens", "stopSequences", "seed")),
    **dict.fromkeys(("presencePenalty", "frequencyPenalty", "responseLogprobs", "logprobs", "responseMimeType")),
    **dict.fromkeys(("responseSchema", "responseJsonSchema", "responseFormat", "responseModalities", "speechConfig")),
    **dict.fromkeys(("mediaResolution", "imageConfig", "audioTimestamp", "enableEnhancedCivicAnswers")),
    **dict.fromkeys(("routingConfig", "modelConfig", "audioTranscriptionConfig", "enableAffectiveDialog")),
    "thinkingConfig": dict.fromkeys(("includeThoughts", "thinkingBudget", "thinkingLevel")),
}
REQUEST: Final[Spec] = {
    **dict.fromkeys(("cachedContent", "labels", "safetySettings", "serviceTier", "store", "continuationToken")),
    "contents": _CONTENT,
    "systemInstruction": _CONTENT,
    "tools": {**dict.fromkeys(_HOSTED), "functionDeclarations": _FUNCTION},
    "toolConfig": {
        **dict.fromkeys(("retrievalConfig", "includeServerSideToolInvocations")),
        "functionCallingConfig": dict.fromkeys(("mode", "allowedFunctionNames", "streamFunctionCallArguments")),
    },
    "generationConfig": _CONFIG,
}

_decode_object = msgspec.json.Decoder(Fields).decode
_decode_list = msgspec.json.Decoder(list[Raw]).decode


def camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word[:1].upper() + word[1:] for word in rest)


def camel_fields(fields: Fields, spec: Spec = REQUEST, within: str = "") -> Fields:
    """The same fields under the names of the reference. Raises InvalidRequest for one that stands there in both
    spellings."""
    found: Fields = {}
    for given, raw in fields.items():
        name = camel(given) if "_" in given else given
        name = name if name in spec else given
        where = f"{within}.{name}" if within else name
        if name in found:
            raise InvalidRequest(
                f"Invalid value at '{where}': it is given in both spellings.", code=codec.DUPLICATE_FIELD, param=where
            )
        inner = spec.get(name)
        found[name] = _camelled(raw, inner, where) if inner is not None and _SNAKE.search(memoryview(raw)) else raw
    return found


def _camelled(raw: Raw, spec: Spec, where: str) -> Raw:
    try:
        if begins(raw, b"{"):
            return Raw(encode(camel_fields(_decode_object(raw), spec, where)))
        if begins(raw, b"["):
            return Raw(encode([_camelled(one, spec, f"{where}[{at}]") for at, one in enumerate(_decode_list(raw))]))
    except codec.UNREADABLE:
        pass  # whoever reads it says what is wrong
    return raw
