"""One call in no protocol's words: what is asked, what is answered, and the events of an answer on its way.

Whatever a protocol says is read into this and written from this, so a protocol is translated once and not once for
every other. What only its own protocol understands is kept as it came (`Opaque`, `Request.extras`): it goes back to
where it belongs, and every other writer names it as a loss.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec
from msgspec import Raw

from trunkline.wire.codec import Fields
from trunkline.wire.usage import Usage as Usage

Role = Literal["system", "developer", "user", "assistant"]
Lifetime = Literal["5m", "1h"]
"""How long a prefix of the prompt is to stay in the provider's cache."""


class State(msgspec.Struct, frozen=True):
    """What a provider wants back byte for byte and nobody else can read: a signature, encrypted reasoning.

    `origin` is the id of the provider that made it, the only one it may return to; "" when that is not known.
    """

    origin: str
    data: str


class Text(msgspec.Struct, kw_only=True):
    """`citations` are its protocol's own, and cross to no other."""

    text: str
    citations: Raw | None = None
    state: State | None = None
    cache: Lifetime | None = None


class Refusal(msgspec.Struct):
    """The model's own words for why it does not answer."""

    text: str


class Media(msgspec.Struct, kw_only=True):
    """An image, a document, sound or a film; one of `data` (base64), `url`, `file_id` and `text` says which.

    `media_type` as in `image/png`, None when unknown. `detail` is how closely an image is to be looked at.
    """

    kind: Literal["image", "document", "audio", "video"]
    media_type: str | None = None
    data: str | None = None
    url: str | None = None
    file_id: str | None = None
    text: str | None = None
    name: str | None = None
    detail: str | None = None
    cache: Lifetime | None = None


class ToolCall(msgspec.Struct, kw_only=True):
    """`arguments` is JSON text as the model wrote it, "" when it wrote none; of a custom tool it is free text."""

    id: str
    name: str
    arguments: str = ""
    custom: bool = False
    state: State | None = None
    cache: Lifetime | None = None


class ToolResult(msgspec.Struct, kw_only=True):
    call_id: str
    parts: list[Text | Media]
    is_error: bool = False
    custom: bool = False
    cache: Lifetime | None = None


class Reasoning(msgspec.Struct, kw_only=True):
    """`text` is the reasoning as it was shown, `summaries` what a provider tells instead of it. With neither it is
    hidden: there is only `state`. `id` is that of its item in the Responses protocol."""

    text: str = ""
    summaries: list[str] = []
    state: State | None = None
    id: str | None = None


class Opaque(msgspec.Struct):
    """A part that only `protocol` knows, as it came: a search that the provider ran, its result, a hosted tool."""

    protocol: str
    raw: Raw
    kind: str = ""


Part = Text | Refusal | Media | ToolCall | ToolResult | Reasoning | Opaque


class Turn(msgspec.Struct, kw_only=True):
    """Tool results stand in turns of the user. `name` tells speakers of one role apart."""

    role: Role
    parts: list[Part]
    name: str | None = None


class Tool(msgspec.Struct, kw_only=True):
    """`parameters` is the JSON schema of its arguments, None when it takes none. `format` makes it a custom tool, whose
    input is free text: the value of that field as its protocol writes it."""

    name: str
    description: str | None = None
    parameters: Raw | None = None
    strict: bool | None = None
    format: Raw | None = None
    custom: bool = False
    cache: Lifetime | None = None


class ToolChoice(msgspec.Struct, kw_only=True):
    """`names`: only these may be called; with `required` and one name, that tool is."""

    mode: Literal["auto", "none", "required"]
    names: tuple[str, ...] = ()


class OutputFormat(msgspec.Struct, kw_only=True):
    kind: Literal["text", "json_object", "json_schema"]
    name: str | None = None
    description: str | None = None
    schema: Raw | None = None
    strict: bool | None = None


class ReasoningAsked(msgspec.Struct, kw_only=True):
    """How much the model is to reason, and what of it the caller wants to see.

    `effort` none, minimal, low, medium, high, xhigh or max; `budget_tokens` where the caller counts instead; `adaptive`
    leaves it to the model. `enabled` None: the caller said nothing of it. `shown`: reasoning blocks or items are
    wanted; `summary` how long a summary. `state_wanted`: so is what carries it to the next call.
    """

    enabled: bool | None = None
    effort: str | None = None
    budget_tokens: int | None = None
    adaptive: bool = False
    shown: bool = False
    summary: str | None = None
    state_wanted: bool = False


class Request(msgspec.Struct, kw_only=True):
    """What is asked. None is: not said.

    `names` says how the caller's protocol calls a field that is called otherwise here, for sentences about it.
    `extras` are the fields that only the caller's protocol has; `needs` those of them, and kinds of opaque parts,
    without which an answer would not be one to what was asked: other writers refuse them.
    """

    protocol: str
    model: str
    turns: list[Turn]
    stream: bool = False
    usage_in_stream: bool = False
    tools: list[Tool | Opaque] = []
    tool_choice: ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    legacy_functions: bool = False
    output_format: OutputFormat | None = None
    reasoning: ReasoningAsked = msgspec.field(default_factory=ReasoningAsked)
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    logit_bias: Raw | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    seed: int | None = None
    stop: list[str] = []
    n: int = 1
    verbosity: str | None = None
    metadata: dict[str, str] | None = None
    end_user: str | None = None
    safety_identifier: str | None = None
    service_tier: str | None = None
    cache_key: str | None = None
    cache: Lifetime | None = None
    extras: Fields = {}
    needs: list[str] = []
    names: Mapping[str, str] = {}


Stop = Literal["end", "stop_sequence", "length", "tool", "filter", "refusal", "pause"]


class Choice(msgspec.Struct, kw_only=True):
    """`logprobs` as OpenAI's protocols write a choice's: the list of its tokens."""

    parts: list[Part]
    stop: Stop
    stop_sequence: str | None = None
    logprobs: Raw | None = None


class Answer(msgspec.Struct, kw_only=True):
    """`created` is Unix seconds, 0 when the provider did not say. `model` is what it says it is."""

    id: str
    model: str
    choices: list[Choice]
    created: int = 0
    usage: Usage | None = None
    service_tier: str | None = None


# Events. `choice` counts the answers asked for with `n`; `part` the parts of one choice in the order of appearance,
# without gaps. The deltas of several parts may come mixed; a part that has ended gets no more.


class Began(msgspec.Struct, gc=False):
    """First, once. `usage` is what is known of the prompt by then."""

    id: str
    model: str
    created: int = 0
    usage: Usage | None = None
    service_tier: str | None = None


class TextDelta(msgspec.Struct, gc=False):
    choice: int
    part: int
    text: str
    logprobs: Raw | None = None


class RefusalDelta(msgspec.Struct, gc=False):
    choice: int
    part: int
    text: str


class ReasoningDelta(msgspec.Struct, gc=False):
    """`summary` is the index in `Reasoning.summaries`; None: it belongs to `Reasoning.text`."""

    choice: int
    part: int
    text: str
    summary: int | None = None


class CallBegan(msgspec.Struct, gc=False):
    choice: int
    part: int
    id: str
    name: str
    custom: bool = False


class ArgumentsDelta(msgspec.Struct, gc=False):
    choice: int
    part: int
    text: str


class StateCame(msgspec.Struct, gc=False):
    """The state of a part of any kind. Where nothing of the part has come yet, it is hidden reasoning."""

    choice: int
    part: int
    state: State


class PartCame(msgspec.Struct):
    """A part that comes whole: media, something opaque."""

    choice: int
    part: int
    whole: Media | Opaque | Text


class PartEnded(msgspec.Struct, gc=False):
    """Only where the provider says so."""

    choice: int
    part: int


class Finished(msgspec.Struct, gc=False):
    """After all parts of its choice."""

    choice: int
    stop: Stop
    stop_sequence: str | None = None


class Used(msgspec.Struct, gc=False):
    """The call's whole usage so far: the last one counts."""

    usage: Usage


class Ended(msgspec.Struct, gc=False):
    """Last, once, and only of an answer that came to its end."""


Event = (
    Began
    | TextDelta
    | RefusalDelta
    | ReasoningDelta
    | CallBegan
    | ArgumentsDelta
    | StateCame
    | PartCame
    | PartEnded
    | Finished
    | Used
    | Ended
)
