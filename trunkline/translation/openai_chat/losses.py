"""What is lost on the way into a chat request or a chat answer."""

from __future__ import annotations

from trunkline.translation.losses import Loss

LOSSES: tuple[Loss, ...] = (
    Loss("reasoning", "dropped", "reasoning goes back only to the provider that made it"),
    Loss("reasoning", "changed", "a number of tokens becomes the nearest effort, for which the protocol has a field"),
    Loss("reasoning.summary", "dropped", "there is no field for how long a summary is to be"),
    Loss("tool_result.media", "changed", "a tool's message holds text only: media follow in a message of the user"),
    Loss("tool_result.is_error", "changed", "there is no such field: the text begins with 'Error: '"),
    Loss("turns.order", "changed", "a message's calls come after its text"),
    Loss("turns.parts", "changed", "text parts of one message become one text, with blank lines between them"),
    Loss("turns.role", "changed", "a developer's message of another protocol is sent as the system's"),
    Loss("media.document", "changed", "a document of plain text is sent as a text part; data get a name"),
    Loss("media.image", "dropped", "an earlier answer's picture has no place in a message"),
    Loss("media.image", "refused", "a file id means nothing here"),
    Loss("media.audio", "refused", "must be data"),
    Loss("media.audio", "changed", "an earlier spoken answer is sent as its transcript"),
    Loss("media.video", "dropped", "an earlier answer's video has no place in a message"),
    Loss("media.video", "refused", "a file id means nothing here"),
    Loss("cache", "dropped", "only some providers read hints for the cache of prompts; others refuse them"),
    Loss("top_k", "dropped", "not a field of the protocol"),
    Loss("metadata", "dropped", "taken only of calls that the provider is to store"),
    Loss("service_tier", "dropped", "a tier that the protocol does not know"),
    Loss("stop", "clamped", "at most 4"),
    Loss("tools.*", "dropped", "another protocol's hosted tools"),
    Loss("content.*", "dropped", "parts that only another protocol knows"),
    Loss("extras.*", "dropped", "fields that only another protocol has"),
    Loss("text.citations", "dropped", "they name places in another protocol's way", "answer"),
    Loss("turns.order", "changed", "an answer is one text and a list of calls", "answer"),
    Loss("stop_sequence", "dropped", "there is no field for which one was met", "answer"),
    Loss("stop.pause", "changed", "becomes 'stop'", "answer"),
    Loss("opaque", "dropped", "parts that only another protocol knows", "answer"),
    Loss("media.document", "dropped", "only images and sound have a place in an answer", "answer"),
    Loss("usage.cache_write_1h_tokens", "dropped", "what is kept for an hour is not told apart", "answer"),
    Loss("tool_calls", "dropped", "the form with `functions` has room for one call", "answer"),
)
