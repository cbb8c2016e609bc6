"""The routes that count a request's tokens without asking for an answer."""

from __future__ import annotations

from trunkline.http.asgi import Receive, Scope, Send
from trunkline.http.door import Door
from trunkline.http.inference import MESSAGES, HttpClient, InferenceRoutes
from trunkline.pipeline import protocols
from trunkline.pipeline.counting import Counted, Counting
from trunkline.wire import anthropic_messages, anthropic_messages_answer

OF_MESSAGES = Counted(
    protocol=protocols.MESSAGES,
    read=lambda body, path: anthropic_messages.read_count_request(body),
    written=anthropic_messages_answer.count_body,
)


class CountRoutes:
    """One coroutine a protocol."""

    def __init__(self, inference: InferenceRoutes, counting: Counting) -> None:
        self._inference = inference
        self._counting = counting

    def add_to(self, door: Door) -> None:
        door.add("POST", "/v1/messages/count_tokens", self.messages)

    async def messages(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.count(HttpClient(scope, receive, send, self._inference, MESSAGES), OF_MESSAGES)

    async def count(self, client: HttpClient, counted: Counted) -> None:
        run = self._counting.run
        await self._inference.to_its_end(client, "count_tokens", lambda call: run(call, client, counted))
