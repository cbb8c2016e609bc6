"""A Gemini request understood: what the model is asked, and how its answers are to be written."""

from __future__ import annotations

import msgspec

from trunkline.errors import InvalidRequest, NotFound
from trunkline.providers.sandbox import (
    directives,
    gemini_parts,
    gemini_tools,
    gemini_turns,
    images,
    naming,
    words,
)
from trunkline.providers.sandbox.gemini_parts import Blob, Content, FileData, FunctionResponse
from trunkline.providers.sandbox.gemini_request import (
    CountRequest,
    GenerateRequest,
    GenerationConfig,
    check_cached,
    check_config,
    decoded,
    effort_of,
)
from trunkline.providers.sandbox.gemini_schema import json_schema
from trunkline.providers.sandbox.prompt import Form, Image, Prompt
from trunkline.providers.sandbox.reply import MOST_CHARACTERS, Bounds
from trunkline.providers.sandbox.tools import written

_THINKING = ("think", "tools")
_URL_SAFE = str.maketrans("-_", "+/")
_JSON_TYPES = ("application/json", "APPLICATION_JSON")


class GeminiAsk(msgspec.Struct, frozen=True, kw_only=True):
    """`name` is the model's as it was asked for, `model` the sandbox's own. `message` is the text that was asked, as
    it came. `top_logprobs` is None when none are wanted; `is_enum` says that a JSON string is answered bare."""

    name: str
    model: str
    prompt: Prompt
    message: str
    bounds: Bounds
    n: int = 1
    top_logprobs: int | None = None
    shows_thoughts: bool = False
    is_enum: bool = False

    @property
    def thinks(self) -> bool:
        return self.model in _THINKING and self.prompt.effort != "none"


def read(body: bytes, name: str) -> GeminiAsk:
    """Raises InvalidRequest, Forbidden for a cached content, NotFound for a model that the sandbox does not have."""
    return _ask(decoded(body, GenerateRequest), name, "generateContent")


def count(body: bytes, name: str) -> int:
    """The tokens of a prompt, as the answer to it would count them."""
    request = decoded(body, CountRequest)
    whole = request.generate_content_request
    if whole is not None and request.contents is not None:
        raise InvalidRequest("* CountTokensRequest: only one of contents and generate_content_request may be set.")
    return _ask(whole or GenerateRequest(contents=request.contents), name, "countTokens").prompt.tokens


def _ask(request: GenerateRequest, name: str, method: str) -> GeminiAsk:
    model = naming.bare(name)
    if model is None:
        raise NotFound(
            f"models/{name[:200]} is not found for API version v1beta, or is not supported for {method}. Call "
            "ListModels to see the list of available models and their supported methods."
        )
    check_cached(request)
    config = request.generation_config or GenerationConfig()
    check_config(config)
    contents = request.contents or []
    gemini_turns.check(contents)
    effort = effort_of(config, by_default=model == "think")
    gemini_turns.check_signatures(contents, required=model in _THINKING and effort != "none")
    message, told = _obey(contents, model)
    n = config.candidate_count or 1
    top_logprobs = (config.logprobs or 0) if config.response_logprobs else None
    wish = config.thinking_config
    return GeminiAsk(
        name=name.casefold(),
        model=model,
        prompt=_prompt(request, told, effort),
        message=message,
        bounds=_bounds(config, n * (1 + (top_logprobs or 0))),
        n=n,
        top_logprobs=top_logprobs,
        shows_thoughts=wish is not None and wish.include_thoughts is True,
        is_enum=config.response_mime_type == "text/x.enum",
    )


def _bounds(config: GenerationConfig, share: int) -> Bounds:
    """The caller's limits within the sandbox's own, which all candidates and their logprobs share."""
    most = words.MOST_TOKENS // share
    return Bounds(
        tokens=min(most, config.max_output_tokens or most),
        characters=MOST_CHARACTERS // share,
        stops=config.stop_sequences or [],
    )


def _asked(contents: list[Content]) -> int | None:
    """The last content of the user that is more than function responses."""
    found = [at for at, content in enumerate(contents) if content.role != "model" and not content.is_response]
    return found[-1] if found else None


def _obey(contents: list[Content], model: str) -> tuple[str, directives.Directives]:
    """The asked text as it came, and what its directives say; they are taken out of the content."""
    asked = _asked(contents)
    if asked is None:
        return "", directives.NONE
    parts = [part for part in contents[asked].parts or [] if part.said is not None]
    texts = [part.said or "" for part in parts]
    left, told = directives.read(texts, model, f"contents[{asked}].parts")
    for part, text in zip(parts, left, strict=True):
        part.text = text
    return "\n".join(texts), told


def _prompt(request: GenerateRequest, told: directives.Directives, effort: str) -> Prompt:
    contents = request.contents or []
    asked = _asked(contents)
    said = [part.said for part in (contents[asked].parts or [] if asked is not None else []) if part.said is not None]
    last_at, last = gemini_turns.merged(contents)[-1]
    tokens = sum(gemini_parts.tokens_of(content) for content in contents) + gemini_tools.tokens_of(request.tools or [])
    if request.system_instruction is not None:
        gemini_turns.check_parts(request.system_instruction, "systemInstruction")
        tokens += gemini_parts.tokens_of(request.system_instruction)
    config = request.generation_config or GenerationConfig()
    return Prompt(
        text="\n".join(said),
        tokens=max(tokens, 1),
        told=told,
        images=_images(contents, asked),
        results=[_result(each, f"contents[{last_at}]") for each in last.responses] if last.is_response else [],
        tools=gemini_tools.offered(request.tools or [], request.tool_config),
        form=_form(config),
        effort=effort,
        seed=config.seed or 0,
    )


def _form(config: GenerationConfig) -> Form | None:
    for at, wanted in enumerate(config.response_format or []):
        if wanted.text is not None and wanted.text.mime_type in _JSON_TYPES:
            where = f"generationConfig.responseFormat[{at}].text.schema"
            return Form(where=where) if wanted.text.schema is None else Form(schema=wanted.text.schema, where=where)
    if config.response_json_schema is not None:
        return Form(schema=config.response_json_schema, where="generationConfig.responseJsonSchema")
    where = "generationConfig.responseSchema"
    if config.response_schema is not None:
        return Form(schema=json_schema(config.response_schema, where), where=where)
    return Form(where=where) if config.response_mime_type == "application/json" else None


def _images(contents: list[Content], asked: int | None) -> list[Image]:
    """The pictures of the asked content, and those that functions brought since."""
    found = []
    for at, content in enumerate(contents if asked is not None else []):
        for number, part in enumerate(content.parts or []):
            where = f"contents[{at}].parts[{number}]"
            if at >= (asked or 0) and (picture := _image(part.inline_data, part.file_data, where)):
                found.append(picture)
            if at >= (asked or 0) and part.function_response is not None:
                found += _response_images(part.function_response, f"{where}.functionResponse")
    return found


def _response_images(response: FunctionResponse, where: str) -> list[Image]:
    listed = [
        _image(part.inline_data, part.file_data, f"{where}.parts[{at}]") for at, part in enumerate(response.parts or [])
    ]
    return [picture for picture in listed if picture is not None]


def _image(blob: Blob | None, file: FileData | None, where: str) -> Image | None:
    """A picture as a URL; bytes may be spelled in either alphabet of base64."""
    if blob is not None and (blob.mime_type or "").startswith("image/"):
        data = (blob.data or "").translate(_URL_SAFE)
        return Image(f"data:{blob.mime_type};base64,{data}{'=' * (-len(data) % 4)}", f"{where}.inlineData.data")
    if file is not None and (file.mime_type or "image/").startswith("image/"):
        return Image(file.file_uri or "", f"{where}.fileData.fileUri")
    return None


def _result(response: FunctionResponse, where: str) -> str:
    """What a function answered, with a word for each picture, and whether it is an error."""
    given = response.response or {}
    key = next((key for key in ("error", "output", "result") if key in given), None)
    value = given if key is None else given[key]
    said = value if isinstance(value, str) else written(value)
    pictures = [f"[{images.describe(each.url, each.where)}]" for each in _response_images(response, where)]
    return " ".join([*(["(error)"] if key == "error" else []), said, *pictures])
