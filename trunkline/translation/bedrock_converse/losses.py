"""What is lost on the way to a provider of this protocol, and on the way to its callers."""

from __future__ import annotations

from trunkline.translation.losses import Loss

_NO_FIELD = "Converse has no such field."

LOSSES: tuple[Loss, ...] = (
    Loss("n", "refused", "A call has one answer."),
    Loss("presence_penalty", "dropped", _NO_FIELD),
    Loss("frequency_penalty", "dropped", _NO_FIELD),
    Loss("logit_bias", "dropped", _NO_FIELD),
    Loss("logprobs", "dropped", _NO_FIELD),
    Loss("top_logprobs", "dropped", _NO_FIELD),
    Loss("seed", "dropped", _NO_FIELD),
    Loss("verbosity", "dropped", _NO_FIELD),
    Loss("end_user", "dropped", _NO_FIELD),
    Loss("safety_identifier", "dropped", _NO_FIELD),
    Loss("cache_key", "dropped", "Caches are found by their content; cache points say what to keep."),
    Loss("parallel_tool_calls", "dropped", _NO_FIELD),
    Loss("metadata", "changed", "As requestMetadata, at most 16 entries in the letters that it takes."),
    Loss("service_tier", "dropped", "Other than auto, default, flex and priority."),
    Loss("max_tokens", "clamped", "To the most that the model gives."),
    Loss("temperature", "clamped", "1 is the largest."),
    Loss("temperature", "changed", "Left out beside Claude's thinking, unless it is 1, and beside Nova's high effort."),
    Loss(
        "top_p",
        "changed",
        "Left out beside Claude's temperature, beside its thinking unless it is 0.95 or more, "
        "and beside Nova's high effort.",
    ),
    Loss("top_k", "changed", "Left out beside Claude's thinking and Nova's high effort."),
    Loss("top_k", "dropped", "For models of makers that have no field for it."),
    Loss("stop", "changed", "Claude takes no blank sequences: they are left out."),
    Loss(
        "turns",
        "changed",
        "Instructions inside the conversation are sent in front of it; a user's turn is put before a conversation that "
        "the assistant begins; blanks that end the last assistant message are left out.",
    ),
    Loss("turns.name", "dropped", "Speakers of one role are not told apart."),
    Loss(
        "output_format",
        "emulated",
        "json_object, and a schema that the model does not keep to by itself, are asked for in the system prompt.",
    ),
    Loss("tools", "changed", "Where a conversation holds calls and no tools are given, those are sent by name."),
    Loss("tools.custom", "dropped", "A tool's input is always a JSON object."),
    Loss("tools.strict", "dropped", "For models that do not keep to a schema by themselves."),
    Loss("tools.*", "dropped", "Tools that another provider hosts."),
    Loss(
        "tool_choice",
        "changed",
        "Of allowed tools, only those are sent. With none, no tools are sent; where the conversation holds calls they "
        "must be, and the model is told in words.",
    ),
    Loss("tool_choice", "refused", "When none of the tools it names can be sent."),
    Loss("tool_calls.arguments", "refused", "When they are not a JSON object."),
    Loss("tool_calls.arguments", "changed", "Half a surrogate pair is sent as U+FFFD."),
    Loss("tool_result.is_error", "changed", "For models that take no status: the text begins with 'Error:'."),
    Loss(
        "reasoning",
        "changed",
        "A budget is sent as the nearest effort where the model takes efforts; thinking is left out beside a forced "
        "tool call, without room for it, and when the turn that began a tool loop came back without its reasoning "
        "(manual thinking only); the reasoning of other providers is not sent; a model that always reasons cannot be "
        "told not to.",
    ),
    Loss("reasoning", "clamped", "A budget leaves room for the answer."),
    Loss("reasoning", "dropped", "For models that do not reason, or cannot be told how much."),
    Loss(
        "reasoning.effort",
        "clamped",
        "To the nearest that the model knows; Nova's high one takes no max_tokens beside it.",
    ),
    Loss("reasoning.effort", "dropped", "An effort without thinking, for models that take no effort."),
    Loss("cache_control", "dropped", "Of more than four, the first and the last ones stay; only some models keep any."),
    Loss("citations", "dropped", "They name places in another protocol's way."),
    Loss("media.image", "refused", "Other than JPEG, PNG, GIF and WebP; URLs other than s3://; outside a user's turn."),
    Loss(
        "media.document", "refused", "Kinds that Converse does not know; URLs other than s3://; outside a user's turn."
    ),
    Loss("media.document", "changed", "A document that came alone gets a text beside it."),
    Loss("media.audio", "refused", "Kinds that Converse does not know; URLs other than s3://; in a tool's result."),
    Loss("media.video", "refused", "Kinds that Converse does not know; URLs other than s3://; outside a user's turn."),
    Loss("media.name", "changed", "Names of documents have few letters, and no two are the same."),
    Loss("media.detail", "dropped", "Images are always looked at as closely as the model can."),
    Loss("opaque", "dropped", "Parts that only another protocol knows, each under its own kind."),
    Loss("extras", "dropped", "Fields that only another protocol has, each under its own name."),
    Loss("drops", "dropped", "Whatever the model's profile says that it refuses."),
    Loss("logprobs", "dropped", "An answer has none.", "answer"),
    Loss("media", "dropped", "Of media an answer holds images only.", "answer"),
    Loss("citations", "dropped", "They name places in another protocol's way.", "answer"),
    Loss("opaque", "dropped", "Parts that only another protocol knows.", "answer"),
)
