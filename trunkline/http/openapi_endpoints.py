"""What the document says of embeddings, images, audio, moderations and rerank. For reading only, as the rest of it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from trunkline.http.operations import Json, answers, json_content, operation

_FILE: Json = {"contentEncoding": "binary"}
Model = Annotated[str, Meta(min_length=1, description="A model id or an alias; `GET /v1/models` lists them.")]


class EmbeddingsRequest(msgspec.Struct):
    model: Model
    input: Annotated[
        str | list[str | int | list[int]],
        Meta(description="A text, a list of texts, a list of token ids, or a list of lists of token ids."),
    ]
    encoding_format: Annotated[
        Literal["float", "base64"], Meta(description="base64: 32-bit floats, least significant byte first.")
    ] = "float"
    dimensions: Annotated[int, Meta(ge=1, description="Of each vector, where the model has a choice.")] | UnsetType = (
        UNSET
    )


class Embedding(msgspec.Struct):
    object: Literal["embedding"]
    index: Annotated[int, Meta(description="Which input it belongs to.")]
    embedding: list[float] | str


class EmbeddingsUsage(msgspec.Struct):
    prompt_tokens: int
    total_tokens: int


class EmbeddingList(msgspec.Struct):
    object: Literal["list"]
    data: list[Embedding]
    model: str
    usage: EmbeddingsUsage


class ImageRequest(msgspec.Struct):
    """Fields that are not listed here go to the provider as they came."""

    model: Model
    prompt: str
    n: int | UnsetType = UNSET
    size: str | UnsetType = UNSET
    stream: Annotated[bool, Meta(description="Answer with server-sent events.")] = False


class ImageEditForm(msgspec.Struct):
    """Send `model` before the files, or the gateway has to put them aside until it comes."""

    model: Model
    image: Annotated[bytes, Meta(description="One or more files, as `image` or `image[]`.", extra_json_schema=_FILE)]
    prompt: str
    stream: bool = False


class Images(msgspec.Struct):
    created: Annotated[int, Meta(description="Unix seconds.")]
    data: list[dict[str, Any]]
    usage: dict[str, Any] | UnsetType = UNSET


class SpeechRequest(msgspec.Struct):
    model: Model
    input: Annotated[str, Meta(description="What is to be said.")]
    voice: Any
    response_format: Annotated[str, Meta(description="`mp3`, `opus`, `aac`, `flac`, `wav` or `pcm`.")] = "mp3"
    stream_format: Annotated[str, Meta(description="`audio`, or `sse` for server-sent events.")] = "audio"


class SoundForm(msgspec.Struct):
    """Send `model` before the file, or the gateway has to put it aside until it comes."""

    model: Model
    file: Annotated[bytes, Meta(description="The recording.", extra_json_schema=_FILE)]
    response_format: Annotated[str, Meta(description="`json`, `text`, `srt`, `verbose_json` or `vtt`.")] = "json"
    stream: Annotated[bool, Meta(description="Transcriptions: answer with server-sent events.")] = False


class Transcript(msgspec.Struct):
    text: str
    usage: dict[str, Any] | UnsetType = UNSET


class ModerationRequest(msgspec.Struct):
    input: Annotated[str | list[Any], Meta(description="A text, a list of texts, or a list of parts.")]
    model: str = "omni-moderation-latest"


class Moderation(msgspec.Struct):
    id: str
    model: str
    results: list[dict[str, Any]]


class RerankRequest(msgspec.Struct):
    model: Model
    query: str
    documents: list[Any]
    top_n: Annotated[int, Meta(ge=1)] | UnsetType = UNSET


class RankedDocument(msgspec.Struct):
    index: Annotated[int, Meta(description="Which of the documents it is.")]
    relevance_score: float


class Ranking(msgspec.Struct):
    results: Annotated[list[RankedDocument], Meta(description="Best first.")]


STRUCTS = (
    EmbeddingsRequest,
    EmbeddingList,
    ImageRequest,
    ImageEditForm,
    Images,
    SpeechRequest,
    SoundForm,
    Transcript,
    ModerationRequest,
    Moderation,
    RerankRequest,
    Ranking,
)
_EVENTS: Json = {"text/event-stream": {"schema": {"type": "string"}}}
_SOUND: Json = {"audio/*": {"schema": {"type": "string", "contentEncoding": "binary"}}}
_TEXT: Json = {"text/plain": {"schema": {"type": "string"}}}


def paths() -> Json:
    ranking = answers("The documents, ranked.", json_content("Ranking"))
    transcript = answers("What was said.", {**json_content("Transcript"), **_TEXT, **_EVENTS})
    images = answers("The images.", {**json_content("Images"), **_EVENTS})
    return {
        "/v1/embeddings": _asked(
            "createEmbeddings",
            "A vector for each input.",
            "EmbeddingsRequest",
            answers("The vectors, in the order of the inputs.", json_content("EmbeddingList")),
        ),
        "/v1/images/generations": _asked("createImage", "Images from words.", "ImageRequest", images),
        "/v1/images/edits": _asked("editImage", "Images from images and words.", "ImageEditForm", images, form=True),
        "/v1/audio/speech": _asked(
            "createSpeech", "Sound from words.", "SpeechRequest", answers("The sound.", {**_SOUND, **_EVENTS})
        ),
        "/v1/audio/transcriptions": _asked(
            "createTranscription", "Words from sound.", "SoundForm", transcript, form=True
        ),
        "/v1/audio/translations": _asked(
            "createTranslation", "English words from sound.", "SoundForm", transcript, form=True
        ),
        "/v1/moderations": _asked(
            "createModeration",
            "Whether a text may do harm.",
            "ModerationRequest",
            answers("A result for each input.", json_content("Moderation")),
        ),
        "/v1/rerank": _asked("rerank", "Documents by how well they answer a query.", "RerankRequest", ranking),
        "/v2/rerank": _asked("rerankV2", "The same, at Cohere's newer path.", "RerankRequest", ranking),
    }


def _asked(name: str, summary: str, schema: str, responses: Json, *, form: bool = False) -> Json:
    content = json_content(schema)
    if form:
        content = {"multipart/form-data": content["application/json"]}
    return {
        "post": operation("inference", name, summary, responses, requestBody={"required": True, "content": content})
    }
