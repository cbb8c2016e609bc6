"""OpenAI's embeddings: the request, the answer, and the two ways in which a vector is written.

A vector is a list of numbers, or the base64 of its numbers as 32-bit floats, least significant byte first; the OpenAI
SDKs ask for base64 unless they are told otherwise: https://platform.openai.com/docs/api-reference/embeddings
"""

from __future__ import annotations

import base64
import binascii
import math
import sys
from array import array
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Raw

from trunkline.errors import InvalidRequest, UpstreamFailed
from trunkline.wire import billing, codec
from trunkline.wire.codec import Fields, encode
from trunkline.wire.passage import read_model, read_usage
from trunkline.wire.provider_errors import ErrorFacts, error_in, is_error
from trunkline.wire.seen import tokens_of
from trunkline.wire.usage import Usage

Encoding = Literal["float", "base64"]

READ = frozenset(("model", "input", "encoding_format", "dimensions", "user"))
MOST_INPUTS = 100_000
"""Of one request, however many requests to a provider it becomes."""

# What a 32-bit float can hold.
_Number = Annotated[float, Meta(ge=-3.4028235677973366e38, le=3.4028235677973366e38)]

_read_raw_list = msgspec.json.Decoder(list[Raw]).decode
_read_text = msgspec.json.Decoder(str).decode
_read_texts = msgspec.json.Decoder(list[str]).decode
_Tokens = Annotated[list[Annotated[int, Meta(ge=0)]], Meta(min_length=1)]
_read_tokens = msgspec.json.Decoder(_Tokens).decode
_read_token_lists = msgspec.json.Decoder(list[_Tokens]).decode
_read_encoding = msgspec.json.Decoder(Encoding | None).decode
_read_dimensions = msgspec.json.Decoder(Annotated[int, Meta(ge=1)] | None).decode
_read_vector = msgspec.json.Decoder(list[_Number]).decode


class EmbeddingsRequest(msgspec.Struct, frozen=True, kw_only=True):
    """`fields` is the whole top level in the caller's order, each value as he wrote it. `inputs` are the members of a
    list of texts or of lists of tokens, which can be sent in parts; None for a single text or a single list of tokens.
    """

    fields: Fields
    model: str
    encoding: Encoding = "float"
    dimensions: int | None = None
    inputs: Sequence[Raw] | None = None

    @property
    def count(self) -> int:
        """How many vectors answer it."""
        return 1 if self.inputs is None else len(self.inputs)

    def parts(self, at_once: int) -> Iterator[Sequence[Raw] | None]:
        """The inputs in their order, at most `at_once` together; a single None when they go as they are."""
        if self.inputs is None or len(self.inputs) <= at_once:
            yield None
            return
        for start in range(0, len(self.inputs), at_once):
            yield self.inputs[start : start + at_once]

    def body(self, model: str, part: Sequence[Raw] | None = None, drops: Collection[str] = ()) -> bytes:
        """The request for a provider that knows the model as `model`, with `part` of the inputs or all of them, and
        without the fields that it refuses."""
        fields = {name: value for name, value in self.fields.items() if name not in drops}
        fields["model"] = Raw(encode(model))
        if part is not None:
            fields["input"] = Raw(encode(part))
        return encode(fields)


def estimated_input(request: EmbeddingsRequest) -> int:
    """The tokens of its inputs, about, where the provider did not count them; at least 1."""
    raw = request.fields["input"]
    inputs = [raw] if request.inputs is None else request.inputs
    return max(1, sum(map(_estimated, inputs)))


def _estimated(one: Raw) -> int:
    """A text between its quotes, or a list of tokens."""
    return tokens_of(len(one) - 2) if _is_text(one) else len(_read_raw_list(one))


def read_request(body: bytes) -> EmbeddingsRequest:
    """Raises InvalidRequest, with `param` wherever one field is to blame."""
    fields = codec.fields(body, READ)
    return EmbeddingsRequest(
        fields=fields,
        model=read_model(fields),
        encoding=_optional(fields, "encoding_format", _read_encoding, '"float" or "base64"') or "float",
        dimensions=_optional(fields, "dimensions", _read_dimensions, "a whole number of at least 1"),
        inputs=_inputs(fields.get("input")),
    )


def _optional(fields: Fields, name: str, read: Callable[[Raw], Any], sentence: str) -> Any:
    if name not in fields:
        return None
    try:
        return read(fields[name])
    except codec.UNREADABLE as error:
        code = "invalid_type" if ", got `" in str(error) else "invalid_value"
        raise InvalidRequest(f"'{name}' must be {sentence}.", code=code, param=name) from None


def _inputs(raw: Raw | None) -> Sequence[Raw] | None:
    """A text, a list of texts, a list of tokens, or a list of such lists."""
    if raw is None:
        raise InvalidRequest(
            "'input' is required: a text, a list of texts, or tokens.",
            code="missing_required_parameter",
            param="input",
        )
    try:
        if _is_text(raw):
            _read_text(raw)
            return None
        members = _read_raw_list(raw)
        if not members:
            raise InvalidRequest("'input' is an empty list.", param="input")
        if _is_text(members[0]):
            _read_texts(raw)
        elif _begins(members[0]) == b"[":
            _read_token_lists(raw)
        else:
            _read_tokens(raw)
            return None
    except codec.UNREADABLE:
        raise InvalidRequest(
            "'input' must be a text, a list of texts, a list of token ids, or a list of lists of token ids.",
            code="invalid_type",
            param="input",
        ) from None
    if len(members) > MOST_INPUTS:
        raise InvalidRequest(f"'input' has more than {MOST_INPUTS:,} members.", param="input")
    return members


def _begins(raw: Raw) -> bytes:
    """Its first character, which tells the kind of any JSON value."""
    return bytes(memoryview(raw)[:1])


def _is_text(raw: Raw) -> bool:
    return _begins(raw) == b'"'


class _Item(msgspec.Struct, gc=False):
    embedding: Raw
    index: int | None = None


class _Answer(msgspec.Struct, gc=False):
    data: list[_Item] | None = None
    usage: Raw = Raw()
    error: Raw = Raw()


class EmbeddingsAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """`vectors` as the provider wrote them, in the order of the inputs. `error` is set when it hid a failure in an
    answer of status 200; `vectors` is then empty."""

    body: bytes
    vectors: list[Raw] = []
    usage: Usage | None = None
    error: ErrorFacts | None = None

    def is_in(self, encoding: Encoding) -> bool:
        return all(_is_text(vector) == (encoding == "base64") for vector in self.vectors)


class _Written(msgspec.Struct):
    index: int
    embedding: Raw
    object: str = "embedding"


class _Counted(msgspec.Struct, gc=False):
    usage: Raw = Raw()


_decode_answer = msgspec.json.Decoder(_Answer).decode
_decode_counted = msgspec.json.Decoder(_Counted).decode


def read_answer(body: bytes, count: int) -> EmbeddingsAnswer:
    """`count` is how many vectors were asked for. Raises UpstreamFailed when the answer is another."""
    try:
        if not body.isascii():
            body.decode()
        said = _decode_answer(body)
    except codec.UNREADABLE:
        raise UpstreamFailed("The provider's answer is not a list of embeddings.") from None
    if said.data is None or is_error(said.error):
        facts = error_in(codec.answer_fields(body) or {})
        if facts is None:
            raise UpstreamFailed("The provider's answer is not a list of embeddings: it has no data.")
        return EmbeddingsAnswer(body=body, error=facts)
    # Some providers leave the index out: then they keep the order.
    placed = {place if item.index is None else item.index: item.embedding for place, item in enumerate(said.data)}
    if len(said.data) != count or placed.keys() != set(range(count)):
        raise UpstreamFailed(
            f"The provider answered {len(said.data)} embeddings to {count} inputs, or not one to each."
        )
    return EmbeddingsAnswer(body=body, vectors=[placed[place] for place in range(count)], usage=read_usage(said.usage))


def joined(answers: Sequence[EmbeddingsAnswer], encoding: Encoding) -> bytes:
    """One answer with all the vectors in `encoding`, its usage their sum, its other fields the first one's.

    A single answer that is in `encoding` keeps its bytes. Raises UpstreamFailed for a vector that is none.
    """
    first = answers[0]
    if len(answers) == 1 and first.is_in(encoding):
        return first.body
    written = [
        _Written(place, in_encoding(vector, encoding))
        for place, vector in enumerate(vector for answer in answers for vector in answer.vectors)
    ]
    fields = codec.answer_fields(first.body) or {}
    fields["data"] = Raw(encode(written))
    if len(answers) > 1 and all(answer.usage is not None for answer in answers):
        total = used(answers).input_tokens
        fields["usage"] = Raw(encode({"prompt_tokens": total, "total_tokens": total}))
    return encode(fields)


def used(answers: Sequence[EmbeddingsAnswer]) -> Usage:
    """What they used together."""
    return Usage(
        input_tokens=sum(answer.usage.input_tokens for answer in answers if answer.usage is not None), output_tokens=0
    )


def billed(body: bytes, usage: Usage, *, replaced: bool) -> bytes:
    """A whole answer with what it cost. `replaced`: the provider gave no usage that counts; `usage` is shown in its
    place."""
    said = _decode_counted(body).usage
    if not replaced and said:
        return billing.with_usage(body, b"usage", said, usage)
    written = encode({"prompt_tokens": usage.input_tokens, "total_tokens": usage.input_tokens})
    return billing.with_usage(body, b"usage", said, usage, billing.with_cost(written, usage))


def in_encoding(vector: Raw, encoding: Encoding) -> Raw:
    """The same vector in this encoding, as it is when it is in it already. Raises UpstreamFailed."""
    is_base64 = _is_text(vector)
    if is_base64 == (encoding == "base64"):
        return vector
    return Raw(encode(_unpacked(vector) if is_base64 else _packed(vector)))


def _packed(vector: Raw) -> str:
    try:
        numbers = array("f", _read_vector(vector))
    except codec.UNREADABLE:
        raise UpstreamFailed("The provider's answer has an embedding that is not a list of numbers.") from None
    if sys.byteorder == "big":
        numbers.byteswap()
    return base64.b64encode(numbers.tobytes()).decode("ascii")


def _unpacked(vector: Raw) -> list[float]:
    try:
        numbers = array("f", base64.b64decode(_read_text(vector), validate=True))
    except (*codec.UNREADABLE, binascii.Error, ValueError):
        raise UpstreamFailed("The provider's answer has an embedding that is not base64 of 32-bit floats.") from None
    if sys.byteorder == "big":
        numbers.byteswap()
    if not all(map(math.isfinite, numbers)):
        raise UpstreamFailed("The provider's answer has an embedding with a number that is not finite.")
    return numbers.tolist()
