"""What a serving process does for the store while it serves: ends what nobody runs any more, deletes what has expired.

Several processes may do it at once; each finds what the others have left.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from trunkline import clock, observe
from trunkline.errors import StoreUnavailable
from trunkline.storage.store import Store
from trunkline.wire import codec

LOOK_S: Final = 60.0
SILENT_S: Final = 180.0
"""Whoever runs a background response gives a sign of life at least every LOOK_S."""
SWEEP_S: Final = 3600.0
ABANDONED: Final = codec.encode(
    {"code": "server_error", "message": "The process that ran this response ended before the response did."}
)

log = observe.logger("storage")


async def keep_tidy(store: Store, sweep_log: Callable[[float], Awaitable[int]]) -> None:
    """Runs until it is cancelled. A database that does not answer is asked again at the next look. `sweep_log` deletes
    rows of the request log that have expired by a moment in Unix seconds, and returns how many."""
    loop = asyncio.get_running_loop()
    sweep_at = loop.time()
    while True:
        try:
            if abandoned := await store.responses.abandon(clock.now_s() - SILENT_S, ABANDONED):
                log.warning("responses_abandoned", count=abandoned)
            if loop.time() >= sweep_at:
                if swept := await store.sweep() + await sweep_log(clock.now_s()):
                    log.info("swept", count=swept)
                sweep_at = loop.time() + SWEEP_S
        except StoreUnavailable as error:
            log.warning("upkeep_failed", reason=error.message)
        await asyncio.sleep(LOOK_S)
