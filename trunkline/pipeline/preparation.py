"""A response that is only prepared: what comes next may go on from it, and no provider is asked."""

from __future__ import annotations

from trunkline.pipeline.call import Call, Client, Pipeline
from trunkline.pipeline.protocols import RESPONSES
from trunkline.pipeline.responses import ResponseKeeper
from trunkline.pipeline.ways import Asked
from trunkline.policy import keys as key_policy
from trunkline.translation.exchange import Began, Ended, Finished


async def prepare(pipeline: Pipeline, keeper: ResponseKeeper, call: Call, client: Client) -> bytes:
    """The events of a complete response without output. Raises what refuses the call, before it costs anything."""
    key = await pipeline.identify(call, client)
    inbound = RESPONSES.read(await client.body(), client.path)
    call.route = pipeline.settings.routes.resolve(inbound.model)
    key_policy.permitted(key, call.route)
    asked = Asked(RESPONSES, inbound, key.account_id, call.id)
    asked.may_pass = False
    pen = await keeper.pen(asked)
    request = RESPONSES.spoken.translator.read_request(asked.inbound)
    written = pen.writer(request).write([Began("", inbound.model), Finished(0, "end"), Ended()])
    await pen.keep()
    return written
