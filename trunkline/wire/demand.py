"""What a request may use at most, in the words of no protocol."""

from __future__ import annotations

from typing import Literal

import msgspec

CacheMark = Literal["", "5m", "1h"]


class Medium(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A picture, document, sound or film in a request, as far as its first bytes tell; None is not known.

    `width` and `height` are pixels, `pages` those of a document, `seconds` the length of a sound or film, rounded up.
    `detail` is how closely a picture is to be looked at, as the caller says it.
    """

    kind: Literal["image", "document", "audio", "video"]
    width: int | None = None
    height: int | None = None
    pages: int | None = None
    seconds: int | None = None
    detail: str | None = None


class Demand(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Upper bounds of one request.

    text_bytes      UTF-8 bytes that may become input tokens: a byte-level tokenizer never makes more tokens than bytes
    media_tokens    input tokens of pictures, documents and films, by the provider's formula
    audio_tokens    input tokens of sound
    n               choices that are asked for
    max_output      output tokens of one choice, those of reasoning included
    predicted       output tokens of one choice beside these: a prediction that was wrong is paid as output
    audio_output    the answer may be sound
    cache_marked    the longest lifetime that the request asks a cache to keep a part of it
    images          pictures that are to be made
    requests        requests to the provider that it becomes
    service_tier    a price of its own that the request asks for, such as `flex`, `priority` or `fast`
    batch           it goes into a batch

    How many tokens some of it becomes is for a model to say; until one has, these stand for it:

    open_ended      the caller did not say how long the answer may be
    media           what `media_tokens` and `audio_tokens` are counted of
    tools           how many tools there are of which the provider writes the description itself; None: no tools at all
    """

    text_bytes: int = 0
    media_tokens: int = 0
    audio_tokens: int = 0
    n: int = 1
    max_output: int = 0
    predicted: int = 0
    audio_output: bool = False
    cache_marked: CacheMark = ""
    images: int = 0
    requests: int = 1
    service_tier: str = ""
    batch: bool = False
    open_ended: bool = False
    media: tuple[Medium, ...] = ()
    tools: int | None = None

    @property
    def input_tokens(self) -> int:
        return self.text_bytes + self.media_tokens + self.audio_tokens

    @property
    def output_tokens(self) -> int:
        return self.n * (self.max_output + self.predicted)
