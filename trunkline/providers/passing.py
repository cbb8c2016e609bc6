"""The caller's own body for a provider of his protocol, with the edits that the deployment needs.

Every value that is not edited keeps the bytes it came in. What was dropped or changed is named in a warning.
"""

from __future__ import annotations

from trunkline.translation.anthropic_messages.state import strip_foreign_state as without_foreign_thinking
from trunkline.translation.gemini.state import passed_fields as gemini_fields
from trunkline.translation.openai_chat.state import strip_state as without_wrapped_state
from trunkline.translation.openai_responses.state import strip_foreign_state as without_foreign_reasoning
from trunkline.translation.target import Target
from trunkline.wire.anthropic_messages import MessagesRequest
from trunkline.wire.codec import Fields, Raw, encode
from trunkline.wire.gemini import GeminiRequest
from trunkline.wire.inbound import Inbound
from trunkline.wire.openai_chat import ChatRequest


def named(fields: Fields, target: Target, warnings: list[str]) -> Fields:
    """A copy for this deployment: its own name of the model, without what it refuses."""
    edited = dict(fields)
    edited["model"] = Raw(encode(target.upstream))
    for name in target.drops:
        if edited.pop(name, None) is not None:
            warnings.append(f"dropped {name}: not supported by {target.model_id}")
    return edited


def chat_body(request: ChatRequest, target: Target, warnings: list[str]) -> bytes:
    """`warnings` gains a line for everything that the provider will not see as it was sent."""
    fields = without_wrapped_state(named(request.fields, target, warnings))
    if target.refuses_stream_options:
        fields.pop("stream_options", None)
        dropped = [name for name in request.stream_options or () if name != "include_usage"]
        warnings += [f"dropped stream_options.{name}: not supported by {target.model_id}" for name in dropped]
    elif request.stream:
        fields["stream_options"] = request.stream_options_with_usage()
    if target.max_tokens_only and "max_completion_tokens" in fields:
        limit = fields.pop("max_completion_tokens")
        fields.setdefault("max_tokens", limit)
    elif target.max_tokens_renamed and "max_tokens" in fields:
        limit = fields.pop("max_tokens")
        fields.setdefault("max_completion_tokens", limit)
    return encode(fields)


def messages_body(request: MessagesRequest, target: Target, warnings: list[str]) -> bytes:
    return encode(without_foreign_thinking(named(request.fields, target, warnings), target.provider_id))


def gemini_body(request: GeminiRequest, target: Target, warnings: list[str]) -> bytes:
    """The path names the model."""
    return encode(gemini_fields(request.fields, target, warnings))


def responses_body(request: Inbound, target: Target, warnings: list[str]) -> bytes:
    return encode(without_foreign_reasoning(named(request.fields, target, warnings), target.provider_id))
