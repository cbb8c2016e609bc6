"""Where responses are kept, so that a later call can go on from one, and a background one outlives its caller.

Everything belongs to an account: another account's id is as unknown as one that was never made.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Final, Literal, Protocol

import msgspec
from msgspec import Meta

from trunkline.ids import AccountId

ResponseStatus = Literal["queued", "in_progress", "completed", "incomplete", "failed", "cancelled"]
RUNNING: Final[frozenset[ResponseStatus]] = frozenset({"queued", "in_progress"})

MOST_LINKS = 1000
MOST_CONTEXT_BYTES = 32 * 1024 * 1024
"""What one call may go on from: so many earlier responses, so many bytes of them."""
DAY_S = 86_400


class ResponsesOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[responses]`: the state that is kept for callers of the Responses API."""

    store_default: Annotated[bool, Meta(description="Keep a response whose request does not say `store`.")] = True
    retention_days: Annotated[
        int,
        Meta(ge=1, le=3650, description="How long a response is kept after it, or one that goes on from it, was made."),
    ] = 30
    sidecar_days: Annotated[
        int,
        Meta(
            ge=1,
            le=3650,
            description="How long reasoning state is kept for clients whose protocol cannot carry it.",
        ),
    ] = 7

    background_at_once: Annotated[
        int,
        Meta(ge=1, description="Responses that one process runs in the background at a time; one more gets 503."),
    ] = 100
    background_total_s: Annotated[
        float, Meta(gt=0, description="The longest that a provider may take for one in the background.")
    ] = 3600.0

    def response_end(self, made_at: float) -> float:
        """When what is made at `made_at` expires. Unix seconds, as `made_at`."""
        return made_at + self.retention_days * DAY_S

    def sidecar_end(self, made_at: float) -> float:
        return made_at + self.sidecar_days * DAY_S


class StoredResponse(msgspec.Struct, frozen=True, kw_only=True):
    """One response. Times are Unix seconds.

    `response` is the JSON of the whole Response object, `output` and reasoning state included; `input` the JSON list of
    the items that this turn added, each with an id. `background`: it runs without its caller, and may be cancelled.
    """

    id: str
    account_id: AccountId
    created_at: int
    expires_at: float
    status: ResponseStatus
    model: str
    response: bytes
    input: bytes = b"[]"
    previous_response_id: str | None = None
    conversation_id: str | None = None
    background: bool = False


class ItemRecord(msgspec.Struct, frozen=True):
    """One item of a conversation: `content` is its JSON, which holds the same id."""

    id: str
    content: bytes


class ResponseChain(msgspec.Struct, frozen=True, kw_only=True):
    """What a call with `previous_response_id` goes on from, oldest first.

    `links` ends with the response that was named. `earlier` are the items that stood in a conversation before the
    oldest link, when that one was made in a conversation; otherwise none.
    """

    links: tuple[StoredResponse, ...]
    earlier: tuple[ItemRecord, ...] = ()


class ResponseEvent(msgspec.Struct, frozen=True):
    """One event of a background stream: `data` is the JSON of it, on one line."""

    sequence_number: int
    data: bytes


class ResponseStore(Protocol):
    """What was written is on disk before the call returns. Each raises StoreUnavailable when the database does not
    answer. Expired responses are unknown."""

    async def put(self, response: StoredResponse) -> bool:
        """Keep it, or replace what is kept under its id; those it goes on from stay as long, to within a day.

        False, and nothing is written, for a background response that has ended here (status not in RUNNING) but was
        cancelled or deleted meanwhile.
        """
        ...

    async def finish(self, response: StoredResponse, items: Sequence[ItemRecord]) -> bool:
        """`put`, and in the same transaction append `items` to the end of `response.conversation_id`.

        False, and nothing is written, in the case that `put` names. An item whose id the conversation has is there
        already and is left as it is; of a conversation that was deleted meanwhile only the response is kept.
        """
        ...

    async def get(self, account_id: AccountId, response_id: str) -> StoredResponse | None: ...

    async def delete(self, account_id: AccountId, response_id: str) -> bool:
        """With its events. False when it is unknown."""
        ...

    async def chain(self, account_id: AccountId, response_id: str) -> ResponseChain:
        """The named response and all before it. Raises InvalidRequest with `param` previous_response_id: code
        previous_response_not_found when it or one before it is not here, context_length_exceeded beyond MOST_LINKS or
        MOST_CONTEXT_BYTES."""
        ...

    async def set_status(
        self, account_id: AccountId, response_id: str, status: ResponseStatus, error: bytes | None = None
    ) -> StoredResponse | None:
        """Move a response that is still RUNNING to `status`, in its JSON too, where `error` (a JSON object) becomes
        `error`. Returns it as it stands then; one that has ended stays as it was. None when it is unknown."""
        ...

    async def append_events(
        self, account_id: AccountId, response_id: str, first_sequence: int, events: Sequence[bytes]
    ) -> ResponseStatus | None:
        """Keep events of a background stream, numbered from `first_sequence` without gaps; they are a sign of life,
        even none of them. Returns the status that the response has: a runner that reads `cancelled`, or None for a
        response that was deleted, stops; nothing was kept then."""
        ...

    async def status(self, account_id: AccountId, response_id: str) -> ResponseStatus | None:
        """Without reading the rest of it; None when it is unknown."""
        ...

    async def events(self, account_id: AccountId, response_id: str, after: int) -> list[ResponseEvent]:
        """The next events with numbers above `after`, in order: about a MiB at a time, so ask again with the last
        number until none come. Empty when the response is unknown."""
        ...

    async def abandon(self, silent_since: float, error: bytes) -> int:
        """Fail every background response that gave no sign of life since: the process that ran it is gone. Its last
        event is then `response.failed`, and `error` (a JSON object) stands in it. Returns how many."""
        ...

    async def sweep(self, now_s: float) -> int:
        """Delete one batch of what has expired. Returns how many; none means that no more is due."""
        ...
