"""What a crossing into this protocol loses. A `*` stands for the kind of a part or the name of a field."""

from __future__ import annotations

from trunkline.translation.losses import Loss

LOSSES: tuple[Loss, ...] = (
    Loss("n", "refused", "the protocol gives one answer to a call"),
    Loss("stop", "dropped", "the protocol has no stop sequences"),
    Loss("top_k", "dropped", "the protocol does not have it"),
    Loss("presence_penalty", "dropped", "the protocol does not have it"),
    Loss("frequency_penalty", "dropped", "the protocol does not have it"),
    Loss("logit_bias", "dropped", "the protocol does not have it"),
    Loss("seed", "dropped", "the protocol does not have it"),
    Loss("max_tokens", "changed", "fewer than 16 are asked for as 16, the least that is taken"),
    Loss("service_tier", "dropped", "where it is none of auto, default, flex, scale, priority, fast and ultrafast"),
    Loss("reasoning.budget_tokens", "changed", "asked for as the nearest effort"),
    Loss("reasoning.effort", "dropped", "where the model does not reason, or reasons as it sees fit"),
    Loss("reasoning", "dropped", "reasoning that this provider did not make does not go back to it"),
    Loss("turns.name", "dropped", "the protocol does not tell speakers of one role apart"),
    Loss("cache", "changed", "marks of other protocols are left out: the provider reuses prompts by itself"),
    Loss("citations", "dropped", "another protocol's say nothing here"),
    Loss("tool_result.is_error", "changed", "told by 'Error: ' before the result"),
    Loss("media.file_id", "refused", "a file of another provider is not known here"),
    Loss("media.audio", "refused", "providers of this protocol take no sound"),
    Loss("media.video", "refused", "providers of this protocol take no film"),
    Loss("media.*", "refused", "media in an answer of the model cannot be sent back"),
    Loss("tools.*", "dropped", "a hosted tool of another protocol"),
    Loss("*", "dropped", "a field or a part that only the caller's protocol has, or that this model refuses"),
    Loss("media.*", "dropped", "of media only images that come as data can stand in an answer", "answer"),
    Loss("citations", "dropped", "another protocol's say nothing here", "answer"),
    Loss("text.state", "dropped", "only reasoning and calls carry state", "answer"),
    Loss("stop_sequence", "dropped", "which sequence ended the answer is not told; the status is completed", "answer"),
    Loss("pause", "changed", "an answer that pauses has the status completed", "answer"),
    Loss("choices", "dropped", "there is one answer", "answer"),
    Loss("*", "dropped", "a part that only the provider's protocol has", "answer"),
)
