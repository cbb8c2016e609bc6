"""What is lost on the way to a provider of this protocol."""

from __future__ import annotations

from trunkline.translation.losses import Loss

_NO_FIELD = "Ollama's chat has no such field."

LOSSES: tuple[Loss, ...] = (
    Loss("n", "refused", "A call has one answer."),
    Loss("logit_bias", "dropped", _NO_FIELD),
    Loss("verbosity", "dropped", _NO_FIELD),
    Loss("metadata", "dropped", _NO_FIELD),
    Loss("end_user", "dropped", _NO_FIELD),
    Loss("safety_identifier", "dropped", _NO_FIELD),
    Loss("cache", "dropped", "Ollama keeps the last prompt by itself."),
    Loss("cache_key", "dropped", "Ollama keeps the last prompt by itself."),
    Loss("service_tier", "dropped", "Other than auto and default."),
    Loss("parallel_tool_calls", "dropped", _NO_FIELD),
    Loss("turns.name", "dropped", "Speakers of one role are not told apart."),
    Loss("turns.order", "changed", "A message's calls come after its text."),
    Loss("turns.parts", "changed", "Text parts of one message become one text, and images stand beside it."),
    Loss("output_format.description", "dropped", "A schema is sent without a description beside it."),
    Loss("tools.custom", "dropped", "A tool's input is always a JSON object."),
    Loss("tools.strict", "dropped", "Arguments are not held to their schema."),
    Loss("tools.*", "dropped", "Tools that another provider hosts."),
    Loss("tool_choice", "changed", "Only allowed tools are sent, with none no tools; a call cannot be forced."),
    Loss("tool_choice", "refused", "When none of the tools it names can be sent."),
    Loss("tool_calls.arguments", "refused", "When they are not a JSON object."),
    Loss("tool_calls.arguments", "changed", "Half a surrogate pair is sent as U+FFFD."),
    Loss("tool_result.is_error", "changed", "There is no such field: the text begins with 'Error: '."),
    Loss("reasoning", "changed", "A budget is sent as the nearest level; most models know only yes and no."),
    Loss("reasoning", "dropped", "For models that cannot be told; and the reasoning of other providers."),
    Loss("reasoning.effort", "clamped", "To low, medium or high."),
    Loss("citations", "dropped", "They name places in another protocol's way."),
    Loss("media.image", "refused", "Other than data: Ollama fetches no URLs."),
    Loss("media.document", "refused", "Other than text."),
    Loss("media.document", "changed", "A document of plain text is sent as text."),
    Loss("media.audio", "refused", "Ollama takes text and images."),
    Loss("media.video", "refused", "Ollama takes text and images."),
    Loss("media.detail", "dropped", "Images are always looked at as closely as the model can."),
    Loss("opaque", "dropped", "Parts that only another protocol knows, each under its own kind."),
    Loss("extras", "dropped", "Fields that only another protocol has, each under its own name."),
    Loss("drops", "dropped", "Whatever the model's profile says that it refuses."),
)
