"""What is lost on the way to a provider of this protocol."""

from __future__ import annotations

from trunkline.translation.losses import Loss

_NO_FIELD = "Cohere's chat has no such field."

LOSSES: tuple[Loss, ...] = (
    Loss("n", "refused", "A call has one answer."),
    Loss("logit_bias", "dropped", _NO_FIELD),
    Loss("top_logprobs", "dropped", _NO_FIELD),
    Loss("verbosity", "dropped", _NO_FIELD),
    Loss("metadata", "dropped", _NO_FIELD),
    Loss("end_user", "dropped", _NO_FIELD),
    Loss("safety_identifier", "dropped", _NO_FIELD),
    Loss("cache", "dropped", "Cohere keeps what it keeps by itself."),
    Loss("cache_key", "dropped", "Cohere keeps what it keeps by itself."),
    Loss("parallel_tool_calls", "dropped", _NO_FIELD),
    Loss("service_tier", "dropped", "Other than auto and default."),
    Loss("top_p", "clamped", "From 0.01 to 0.99."),
    Loss("top_k", "clamped", "To 500 at most."),
    Loss("frequency_penalty", "clamped", "From 0 to 1."),
    Loss("presence_penalty", "clamped", "From 0 to 1."),
    Loss("stop", "clamped", "At most 5."),
    Loss("turns.name", "dropped", "Speakers of one role are not told apart."),
    Loss("turns.order", "changed", "What an assistant says after a call is sent before it, as its plan."),
    Loss("output_format", "emulated", "Beside tools, a form of the answer is asked for in the system's words."),
    Loss("output_format.description", "dropped", "A schema is sent without a description beside it."),
    Loss("tools.custom", "dropped", "A tool's input is always a JSON object."),
    Loss("tools.strict", "changed", "It holds for all tools or for none."),
    Loss("tools.*", "dropped", "Tools that another provider hosts."),
    Loss("tool_choice", "changed", "Of allowed tools, only those are sent."),
    Loss("tool_choice", "refused", "When none of the tools it names can be sent."),
    Loss("tool_result.media", "changed", "Media follow in a message of the user."),
    Loss("tool_result.is_error", "changed", "There is no such field: the text begins with 'Error: '."),
    Loss("reasoning", "clamped", "A budget leaves room for the answer."),
    Loss("reasoning", "dropped", "For models that cannot be told; and the reasoning of other providers."),
    Loss("citations", "dropped", "They name places in another protocol's way."),
    Loss("media.image", "refused", "Files of other providers, data without a type, and in an assistant's turn."),
    Loss("media.document", "refused", "Other than text."),
    Loss("media.document", "changed", "A document of plain text is sent as a text part."),
    Loss("media.audio", "refused", "Cohere takes text and images."),
    Loss("media.video", "refused", "Cohere takes text and images."),
    Loss("media.detail", "dropped", "Other than auto, low and high."),
    Loss("opaque", "dropped", "Parts that only another protocol knows, each under its own kind."),
    Loss("extras", "dropped", "Fields that only another protocol has, each under its own name."),
    Loss("drops", "dropped", "Whatever the model's profile says that it refuses."),
)
