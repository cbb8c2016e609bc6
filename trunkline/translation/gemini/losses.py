"""What is lost on the way to a provider of this protocol, and on the way to its callers."""

from __future__ import annotations

from trunkline.translation.losses import How, Loss

_NO_FIELD = "generateContent has no such field."


def _request(name: str, how: How, why: str) -> Loss:
    return Loss(name, how, why)


def _answer(name: str, how: How, why: str) -> Loss:
    return Loss(name, how, why, "answer")


LOSSES: tuple[Loss, ...] = (
    _request("n", "refused", "A call has at most 8 answers."),
    _request("logit_bias", "dropped", _NO_FIELD),
    _request("verbosity", "dropped", _NO_FIELD),
    _request("metadata", "dropped", _NO_FIELD),
    _request("end_user", "dropped", _NO_FIELD),
    _request("safety_identifier", "dropped", _NO_FIELD),
    _request("cache_key", "dropped", "Caches are found by their content."),
    _request("cache", "dropped", "Prefixes are cached without being asked to."),
    _request("service_tier", "dropped", "Only standard, flex and priority have a counterpart."),
    _request("parallel_tool_calls", "dropped", "There is no way to ask for one call at a time."),
    _request("max_tokens", "clamped", "To the most that the model gives."),
    _request("top_logprobs", "clamped", "20 is the most."),
    _request("seed", "changed", "Its last 31 bits are sent."),
    _request("stop", "clamped", "At most 5."),
    _request("turns", "changed", "Instructions inside the conversation are sent in front of it."),
    _request("turns", "refused", "A tool's result whose call is not in the conversation."),
    _request("turns.name", "dropped", "Speakers of one role are not told apart."),
    _request("output_format", "changed", "Models before Gemini 3 take none beside tools, and are asked in words."),
    _request("output_format.description", "dropped", "A schema is sent without a description beside it."),
    _request("tools.custom", "dropped", "A tool's input is always a JSON object."),
    _request("tools.strict", "dropped", _NO_FIELD),
    _request("tools.*", "dropped", "Tools that another provider hosts."),
    _request("tool_choice", "changed", "Of tools that are allowed but not demanded, only those are sent."),
    _request("tool_choice", "refused", "When none of the tools it names can be sent."),
    _request("tool_calls.arguments", "refused", "When they are not a JSON object."),
    _request("tool_calls.arguments", "changed", "Half a surrogate pair is sent as U+FFFD."),
    _request("tool_result.parts", "changed", "Texts of one result are sent as one."),
    _request("tool_result.media", "changed", "Beside the result, for models before Gemini 3 and for URLs."),
    _request("reasoning", "changed", "Thinking of other providers is not sent; a budget becomes the nearest level; a "
             "model that always thinks is told to think as little as it can."),
    _request("reasoning", "clamped", "To the budgets that the model takes."),
    _request("reasoning", "dropped", "For models that do not think, or cannot be told how much."),
    _request("reasoning.effort", "clamped", "xhigh and max are sent as high; minimal as low to models without it."),
    _request("citations", "dropped", "They name places in another protocol's way."),
    _request("media.audio", "changed", "An earlier spoken answer is sent as its transcript."),
    _request("media.*", "refused", "Data whose media type nobody said."),
    _request("media.file_id", "refused", "A file that another provider keeps."),
    _request("media.detail", "dropped", "Pictures are looked at as closely as the request's mediaResolution says."),
    _request("media.name", "dropped", "Files have no names."),
    _request("parts.partMetadata", "dropped", "Where the request cannot be passed on as it is."),
    _request("opaque", "dropped", "Parts that only another protocol knows, each under its own kind."),
    _request("extras", "dropped", "Fields that only another protocol has, each under its own name."),
    _request("drops", "dropped", "Whatever the model's profile says that it refuses."),
    _answer("opaque", "dropped", "Parts that only another protocol knows."),
    _answer("citations", "dropped", "They name places in another protocol's way."),
    _answer("media.file_id", "dropped", "A file that another provider keeps."),
    _answer("reasoning", "dropped", "Unless thoughts were asked for; what the next call needs of them is kept."),
    _answer("reasoning.summaries", "changed", "Summaries are one text, with blank lines between them."),
    _answer("refusal", "changed", "The model's words for it are text, and the reason is SAFETY."),
    _answer("stop_sequence", "dropped", "There is no field for which one was met."),
    _answer("stop.pause", "changed", "Becomes STOP."),
    _answer("service_tier", "dropped", "There is no field for it."),
    _answer("created", "dropped", "There is no field for it."),
    _answer("usage.cache_write_tokens", "dropped", "They are counted with the prompt."),
    _answer("tool_calls.arguments", "changed", "Text that is no JSON object stands under `input`."),
)  # fmt: skip
