"""What is lost on the way to a provider of this protocol, and on the way to its callers."""

from __future__ import annotations

from trunkline.translation.losses import How, Loss

_NO_FIELD = "Messages has no such field."


def _request(name: str, how: How, why: str) -> Loss:
    return Loss(name, how, why)


def _answer(name: str, how: How, why: str) -> Loss:
    return Loss(name, how, why, "answer")


LOSSES: tuple[Loss, ...] = (
    _request("n", "refused", "A call has one answer."),
    _request("presence_penalty", "dropped", _NO_FIELD),
    _request("frequency_penalty", "dropped", _NO_FIELD),
    _request("logit_bias", "dropped", _NO_FIELD),
    _request("logprobs", "dropped", _NO_FIELD),
    _request("top_logprobs", "dropped", _NO_FIELD),
    _request("seed", "dropped", _NO_FIELD),
    _request("verbosity", "dropped", _NO_FIELD),
    _request("metadata", "dropped", "Only a user's id is taken."),
    _request("cache_key", "dropped", "Caches are found by their content; breakpoints say what to keep."),
    _request("safety_identifier", "dropped", "Beside `end_user`, which is sent as metadata.user_id; alone it is sent."),
    _request("service_tier", "dropped", "Only auto and default (standard_only) have a counterpart."),
    _request("max_tokens", "clamped", "To the most that the model gives. Where it is not said it is filled."),
    _request("temperature", "clamped", "1 is the largest."),
    _request("temperature", "changed", "Left out beside thinking, unless it is 1."),
    _request("temperature", "dropped", "Version 2026-10-21 has no sampling parameters."),
    _request("top_p", "changed", "Left out beside temperature, and beside thinking unless it is 0.95 or more."),
    _request("top_p", "dropped", "Version 2026-10-21 has no sampling parameters."),
    _request("top_k", "changed", "Left out beside thinking."),
    _request("top_k", "dropped", "Version 2026-10-21 has no sampling parameters."),
    _request("stop", "changed", "Blank sequences are left out: they are refused."),
    _request(
        "turns",
        "changed",
        "Instructions inside the conversation are sent in front of it; a turn of the user is put before a conversation "
        "that the assistant begins; an empty one is sent as '.'; blanks that end a prefill are left out.",
    ),
    _request("turns.name", "dropped", "Speakers of one role are not told apart."),
    _request("output_format", "emulated", "json_object, and a schema that the model does not keep to by itself, are "
             "asked for in the system prompt."),
    _request("output_format.description", "dropped", "A schema is sent without a description beside it."),
    _request("tools.custom", "dropped", "A tool's input is always a JSON object."),
    _request("tools.strict", "dropped", "For models that do not keep to a schema by themselves."),
    _request("tools.*", "dropped", "Tools that another provider hosts."),
    _request("tool_choice", "changed", "Of allowed tools, only those are sent."),
    _request("tool_choice", "refused", "When none of the tools it names can be sent."),
    _request("tool_calls.arguments", "refused", "When they are not a JSON object."),
    _request("tool_calls.arguments", "changed", "Half a surrogate pair is sent as U+FFFD."),
    _request("reasoning", "changed", "A budget is sent as the nearest effort where the model takes efforts; thinking "
             "is left out beside a forced tool call, without room for it, and when the turn that began a tool loop "
             "came back without its thinking (manual thinking only); the thinking of other providers is not sent; a "
             "model that always thinks cannot be told not to."),
    _request("reasoning", "clamped", "A budget leaves room for the answer."),
    _request("reasoning", "dropped", "For models that do not think, or cannot be told how much."),
    _request("reasoning.effort", "clamped", "minimal is sent as low."),
    _request("reasoning.effort", "dropped", "An effort without thinking, for models that take no effort."),
    _request("cache_control", "dropped", "Of more than four breakpoints, the first and the last ones stay."),
    _request("cache_control", "changed", "An hour after a breakpoint of five minutes is five minutes too."),
    _request("citations", "dropped", "Those of another protocol; under version 2026-10-21 those of a user's text."),
    _request("media.audio", "refused", "There is no block for it."),
    _request("media.video", "refused", "There is no block for it."),
    _request("media.image", "refused", "Other than JPEG, PNG, GIF and WebP, and in an assistant's turn."),
    _request("media.document", "refused", "Other than PDF and text; in an assistant's turn under version 2026-10-21."),
    _request("media.file_id", "refused", "A file that another provider keeps."),
    _request("media.detail", "dropped", "Images are always looked at as closely as the model can."),
    _request("opaque", "dropped", "Parts that only another protocol knows, each under its own kind."),
    _request("extras", "dropped", "Fields that only another protocol has, each under its own name."),
    _request("drops", "dropped", "Whatever the model's profile says that it refuses."),
    _answer("media", "dropped", "An answer holds no images and no sound."),
    _answer("opaque", "dropped", "Parts that only another protocol knows."),
    _answer("citations", "dropped", "Those of another protocol."),
    _answer("service_tier", "dropped", "Other than default (standard) and priority."),
    _answer("logprobs", "dropped", _NO_FIELD),
    _answer("reasoning", "dropped", "Unless thinking was asked for."),
    _answer("refusal", "changed", "The model's words for it are text, and the stop reason's explanation."),
    _answer("choices", "dropped", "There is one: others cannot have been asked for."),
    _answer("tool_calls.arguments", "changed", "Text that is no JSON object stands under `input`."),
)  # fmt: skip
