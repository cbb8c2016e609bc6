"""uvicorn's httptools protocol, hardened: what RFC 9112 asks and the stock class lets through, and every deadline.

Against the stock class of uvicorn 0.54: one Host of valid grammar, bounded heads, request lines, chunk extensions and
trailers, no trailer among the request's headers, no answer out of turn after a framing error, the body of a request
that offers an upgrade is its body (the stock class reads it as the next request), and no timer per call: one sweep
over all connections holds every deadline.

uvicorn documents none of its protocol's insides, so it is pinned exactly, and `tests/http/test_protocol.py` holds the
table of cases that an upgrade must pass. Relied upon, and nothing with an underscore:

    overridden   __init__ connection_made connection_lost data_received on_message_begin on_header on_headers_complete
                 on_body on_message_complete on_response_complete shutdown
    called       handle_websocket_upgrade
    made         RequestResponseCycle(scope transport flow logger access_logger access_log default_headers
                 message_event expect_100_continue keep_alive on_response).run_asgi
    read, set    parser loop transport flow.read_paused tasks connections url headers scope app config.loaded_app
                 pipeline (newest left) server_state.default_headers server_state.total_requests
                 cycle.{response_started response_complete disconnected keep_alive body more_body message_event
                 waiting_for_100_continue}
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import unquote

import httptools
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from trunkline import observe
from trunkline.cork import Cork, corked
from trunkline.http import deadlines, refusals
from trunkline.http.asgi import Headers, Receive, Scope, Send
from trunkline.http.authority import known_hosts, origin_form, require_host
from trunkline.http.forwarded import TrustedProxies
from trunkline.http.listening import ServerOptions
from trunkline.http.refusals import Refusal
from trunkline.ids import CallIds

CONNECTION: Final = "trunkline.connection"
"""The key in the scope under which an application finds its connection, to set `on_gone`."""

LINGER_S = 2.0
SLICE_BYTES = 16_384
HEAD_END = b"\r\n\r\n"
PIPELINED_MAX = 100
CHUNK_FRAME_BYTES = 32
UNREAD_BODY_BYTES = 131_072
"""So much of a body waits in memory before the client has to: stopping and going on costs 10 us."""
ALWAYS_SERVED = frozenset((b"/healthz", b"/readyz", b"/metrics"))
NOTABLE = frozenset((b"expect", b"host", b"transfer-encoding", b"upgrade"))
UPGRADE_HEADERS = frozenset((b"upgrade", b"http2-settings"))

log = observe.logger("http")


class HardenedState(ServerState):
    """What all connections of one server share."""

    def __init__(self, options: ServerOptions) -> None:
        super().__init__()
        self.options = options
        self.trusted = TrustedProxies(options.trusted_proxies)
        self.cork: Cork | None = None
        self.draining = False
        self.call_ids = CallIds()

    @property
    def in_flight(self) -> int:
        """Calls that the application is working on."""
        return len(self.tasks)

    def refusal_headers(self) -> Headers:
        return [*self.default_headers, (b"x-request-id", self.call_ids.new().encode())]

    async def answer_overload(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        """The application of a call that is one too many."""
        refusal = refusals.OVERLOADED
        headers = [*refusal.headers, (b"x-request-id", self.call_ids.new().encode())]
        await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
        await send({"type": "http.response.body", "body": refusal.body})

    def sweep(self, now_s: float) -> None:
        """Ends what is overdue. `now_s` is the loop's time."""
        for connection in list(self.connections):
            if isinstance(connection, HardenedProtocol):
                deadlines.check(connection, now_s)


class HardenedProtocol(HttpToolsProtocol):
    """One connection. `on_gone`, if the application sets it, is called once when the client is lost unanswered."""

    server_state: HardenedState
    cycle: Any  # RequestResponseCycle, and None until the first request, which the stock annotation denies.

    def __init__(
        self,
        config: Config,
        server_state: HardenedState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        options = server_state.options
        self.options: Final = options
        self.url = b""
        self.headers = []
        self.on_gone: Callable[[], None] | None = None
        # A head in no more bytes than this breaks no limit, so it need not be measured.
        self.head_within_bytes = min(options.header_limit_bytes, options.request_line_limit_bytes)
        self.is_from_proxy = False
        self.is_deaf = False  # What still comes is thrown away: the connection ends once what it owes is out.
        self.is_offer_declined = False

        self.hosts = 0
        self.host = b""
        self.coding: bytes | None = None
        self.offer: bytes | None = None
        self.expectation: bytes | None = None

        self.oldest: RequestResponseCycle | None = None  # Set while `pipeline` holds more: the one being answered.
        self.is_body_open = False
        self.segment_bytes = 0
        self.received_bytes = 0  # Since the present head began, give or take what came in the same segment.
        self.head_bytes = 0
        self.body_bytes = 0
        self.body_pieces = 0

        self.head_since_s: float | None = None
        self.idle_since_s = 0.0
        self.linger_until_s: float | None = None
        self.window_since_s: float | None = None
        self.window_bytes = 0
        self.unsent_bytes = 0
        self.unsent_since_s = 0.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(corked(transport, self.server_state.cork))
        self.head_since_s = self.loop.time()
        self.is_from_proxy = self.client is not None and self.server_state.trusted.trusts(self.client[0])

    def connection_lost(self, exc: Exception | None) -> None:
        self.tell_gone()
        super().connection_lost(exc)

    def cut(self) -> None:
        """Ends the connection at once. Its requests hear of it now: until `connection_lost` comes, what they write
        would go nowhere without making them wait, so one that writes without end would never let the loop go on."""
        if self.server_state.cork is not None:
            self.server_state.cork.flush()  # What was written before it still goes out.
        self.transport.abort()
        self.tell_gone()

    def tell_gone(self) -> None:
        """Every request that is owed an answer (the stock class tells the newest alone), then `on_gone`, once."""
        for cycle in self.unanswered():
            cycle.disconnected = True
            cycle.message_event.set()
        gone, self.on_gone = self.on_gone, None
        if gone is not None:
            gone()

    def unanswered(self) -> list[RequestResponseCycle]:
        """Requests whose answers are owed, oldest first."""
        cycles = [cycle for cycle, _ in reversed(self.pipeline)]
        first = self.oldest if self.pipeline else self.cycle
        if first is not None and not first.response_complete:
            cycles.insert(0, first)
        return cycles

    def owes_answers(self) -> bool:
        return bool(self.pipeline) or (self.cycle is not None and not self.cycle.response_complete)

    # What the parser is fed.

    def data_received(self, data: bytes | memoryview) -> None:
        size = len(data)
        # Limits on heads and chunks hold to within a slice; a body of known length needs none.
        if size > SLICE_BYTES and (self.coding is not None or not self.is_body_open):
            cut = SLICE_BYTES
            if isinstance(data, bytes) and not self.is_body_open:
                # Behind the head, so that the body comes in one piece and is not copied to be put together.
                cut = data.find(HEAD_END, 0, SLICE_BYTES) + len(HEAD_END)
                cut = cut if cut >= len(HEAD_END) else SLICE_BYTES
            view = memoryview(data)
            self.data_received(view[:cut])
            self.data_received(view[cut:])
            return
        if self.is_deaf:
            return
        self.segment_bytes = size
        self.received_bytes += size
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self.upgrade(bytes(data[upgrade.args[0] :]))
        except httptools.HttpParserError as error:
            self.refuse(refusal_of(error))
        else:
            if self.head_since_s is not None or (self.coding is not None and self.is_body_open):
                self.measure_unfinished()

    def measure_unfinished(self) -> None:
        """Bounds what has come of an unfinished head, or of a chunked body beside its payload."""
        options = self.options
        if self.head_since_s is not None:
            if not self.headers and len(self.url) > options.request_line_limit_bytes:
                self.refuse(refusals.TARGET_LONG)
            elif self.received_bytes > options.header_limit_bytes + options.request_line_limit_bytes:
                self.refuse(refusals.HEAD_LONG)
        else:
            overhead = self.received_bytes - self.head_bytes - self.body_bytes
            if overhead > options.header_limit_bytes + CHUNK_FRAME_BYTES * self.body_pieces:
                self.refuse(refusals.CHUNK_OVERHEAD)

    def upgrade(self, behind: bytes) -> None:
        """The parser has stopped behind the head of a request that offers to leave HTTP."""
        if self.is_offer_declined:
            self.go_on_without_offer(behind)
        elif behind:
            self.refuse(refusals.BEHIND_UPGRADE)
        elif self.owes_answers():
            self.refuse(refusals.PIPELINED)
        elif len(self.tasks) >= self.options.max_in_flight:
            self.refuse(refusals.OVERLOADED)
        else:
            self.is_deaf = True
            self.handle_websocket_upgrade()

    def go_on_without_offer(self, behind: bytes) -> None:
        """Feeds the head again without its offer: only so does llhttp read the body as this request's body.

        Java's HttpClient offers h2c with every first request on a connection, also with a body.
        """
        head = [self.parser.get_method(), b" ", self.url, b" HTTP/", self.parser.get_http_version().encode(), b"\r\n"]
        for name, value in self.headers:
            if name == b"connection":
                tokens = (token.strip() for token in value.split(b","))
                value = b", ".join(token for token in tokens if token.lower() not in UPGRADE_HEADERS)  # noqa: PLW2901
            if name not in UPGRADE_HEADERS:
                head += [name, b": ", value, b"\r\n"]
        self.is_offer_declined = False
        self.parser = httptools.HttpRequestParser(self)
        self.data_received(b"".join((*head, b"\r\n")))
        if behind:
            self.data_received(behind)

    # What the parser finds.

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope[CONNECTION] = self  # type: ignore[typeddict-unknown-key]
        self.head_since_s = self.loop.time()
        self.received_bytes = self.segment_bytes
        self.hosts = 0
        self.coding = self.offer = self.expectation = None

    def on_header(self, name: bytes, value: bytes) -> None:
        name = name.lower()
        value = value.rstrip(b" \t")  # RFC 9110 5.5: no part of the value, but llhttp takes off the leading ones only.
        if name in NOTABLE:
            self.note_header(name, value)
        self.headers.append((name, value))

    def note_header(self, name: bytes, value: bytes) -> None:
        if self.head_since_s is None:
            return  # A trailer, which says nothing of its request.
        if name == b"host":
            self.hosts += 1
            self.host = value
        elif name == b"transfer-encoding":
            self.coding = value.lower() if self.coding is None else b"twice"
        elif name == b"upgrade":
            self.offer = value.lower() if self.offer is None else b"twice"
        else:
            self.expectation = value.lower()
            self.expect_100_continue = self.expectation == b"100-continue"

    def on_headers_complete(self) -> None:
        version = self.parser.get_http_version()
        if (
            self.hosts != 1
            or self.host not in known_hosts
            or self.url[0] != 0x2F
            or b"#" in self.url
            or version != "1.1"
            or self.received_bytes > self.head_within_bytes
            or self.coding is not None
            or self.expectation is not None
        ):
            self.examine_head(version)
        if self.offer is not None and self.declines_offer():
            return
        if self.is_from_proxy:
            self.server_state.trusted.apply(self.scope)  # type: ignore[arg-type]
        overloaded = len(self.tasks) >= self.options.max_in_flight and self.url not in ALWAYS_SERVED
        self.app = self.server_state.answer_overload if overloaded else self.config.loaded_app
        before = self.cycle
        if before is not None and not before.response_complete:
            self.note_pipelined(before)
            super().on_headers_complete()
        elif self.offer is None:
            self.begin_call(version)
        else:
            super().on_headers_complete()
        self.head_since_s = None
        if self.cycle is before:
            return  # A WebSocket handshake.
        if self.server_state.draining:
            self.cycle.keep_alive = False
        self.is_body_open = True
        self.window_since_s = None
        if self.coding is not None:
            # Trailers are appended to `headers`: to a list that nobody has been given.
            self.headers = []
            self.head_bytes = self.received_bytes
            self.body_bytes = self.body_pieces = 0

    def begin_call(self, version: str) -> None:
        """What the stock class does for a request that is next and stays HTTP, less what is not used here: its own
        limit, its access log, a root path, and a second parse of a target whose form is known."""
        scope: Any = self.scope
        path, _, query = self.url.partition(b"?")
        text = path.decode("ascii")
        scope["method"] = self.parser.get_method().decode("ascii")
        scope["http_version"] = version
        scope["path"] = unquote(text) if "%" in text else text
        scope["raw_path"] = path
        scope["query_string"] = query
        self.cycle = cycle = RequestResponseCycle(
            scope=scope,
            transport=self.transport,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=False,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=self.expect_100_continue,
            keep_alive=version != "1.0" and self.parser.should_keep_alive(),
            on_response=self.on_response_complete,
        )
        task = self.loop.create_task(cycle.run_asgi(self.app))
        task.add_done_callback(self.tasks.discard)
        self.tasks.add(task)

    def examine_head(self, version: str) -> None:
        """The slow way: says what is wrong with a head that does not look plain. Raises Refusal."""
        if version not in ("1.1", "1.0"):
            raise refusals.VERSION
        if self.coding is not None and version == "1.0":
            raise refusals.CODING_IN_1_0
        if self.coding not in (None, b"chunked"):
            raise refusals.CODING
        if self.hosts != 1:
            raise refusals.HOST
        if self.host not in known_hosts:
            require_host(self.host)
        method = self.parser.get_method()
        if len(method) + len(self.url) + len(b"  HTTP/1.1") > self.options.request_line_limit_bytes:
            raise refusals.TARGET_LONG
        if sum(len(name) + len(value) + len(b": \r\n") for name, value in self.headers) > (
            self.options.header_limit_bytes
        ):
            raise refusals.HEAD_LONG
        if self.url[0] != 0x2F:
            self.url = origin_form(method, self.url, self.host)
        if b"#" in self.url:
            raise refusals.TARGET
        if self.expectation not in (None, b"100-continue"):
            raise refusals.EXPECTATION

    def declines_offer(self) -> bool:
        """True for an offer to leave HTTP that is no WebSocket handshake: the request is then served as it is."""
        if not self.parser.should_upgrade():
            return False
        is_handshake = (
            self.offer == b"websocket"
            and self.parser.get_method() == b"GET"
            and self.coding is None
            and all(name != b"content-length" for name, _ in self.headers)
        )
        self.is_offer_declined = not is_handshake
        return self.is_offer_declined

    def note_pipelined(self, before: RequestResponseCycle) -> None:
        if len(self.pipeline) >= PIPELINED_MAX:
            raise refusals.PIPELINED
        if not self.pipeline:
            self.oldest = before

    def on_body(self, body: bytes) -> None:
        self.body_bytes += len(body)
        self.body_pieces += 1
        cycle = self.cycle
        if cycle.response_complete:
            return
        # As few copies as there can be.
        if not cycle.body:
            cycle.body = body
        elif len(body) >= len(cycle.body):
            cycle.body = cycle.body + body
        else:
            cycle.body = cycle.body if isinstance(cycle.body, bytearray) else bytearray(cycle.body)
            cycle.body += body
        if len(cycle.body) > UNREAD_BODY_BYTES:
            self.flow.pause_reading()
        cycle.message_event.set()

    def on_message_complete(self) -> None:
        if self.is_body_open:
            self.is_body_open = False
            cycle = self.cycle
            if not cycle.response_complete:
                cycle.more_body = False
                cycle.message_event.set()

    # What becomes of the answers.

    def on_response_complete(self) -> None:
        self.on_gone = None
        if self.pipeline:
            self.oldest = self.pipeline[-1][0]
            super().on_response_complete()
            return
        # The stock way from here arms a timer for the idle connection; the sweep sees to it.
        self.server_state.total_requests += 1
        if not self.transport.is_closing():
            self.flow.resume_reading()
            self.idle_since_s = self.loop.time()

    def refuse(self, refusal: Refusal) -> None:
        """Answers `refusal` and closes, but never in the place of an answer that another request is owed."""
        if self.is_deaf or self.transport.is_closing():
            return
        self.is_deaf = True
        owed = self.unanswered()
        if not self.is_body_open:
            # The broken one is the head behind the requests that are owed answers: theirs go out first.
            if owed:
                owed[-1].keep_alive = False
            else:
                self.answer(refusal)
        elif len(owed) > 1:
            owed[-2].keep_alive = False  # The broken one, last in line, then finds the connection closed.
        elif not owed:
            self.transport.close()
        elif owed[0].response_started:
            self.cut()
        else:
            self.answer(refusal)
            self.tell_gone()

    def answer(self, refusal: Refusal) -> None:
        """Writes the refusal and ends our side. What the client still sends is read for a while and thrown away:
        closing at once would answer it with a reset, and a reset makes the client lose the refusal (RFC 9112 9.6)."""
        self.transport.write(refusal.response(self.server_state.refusal_headers()))
        if self.transport.can_write_eof():
            self.transport.write_eof()
            self.linger_until_s = self.loop.time() + LINGER_S
            self.flow.resume_reading()
        else:
            self.transport.close()

    def shutdown(self) -> None:
        """The server is stopping: the answer being given is the last. Idle connections are closed by the server."""
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.keep_alive = False

    def close_if_idle(self) -> None:
        if not self.owes_answers():
            self.transport.close()


def refusal_of(error: httptools.HttpParserError) -> Refusal:
    """The refusal that a parser callback raised, or the general one for what llhttp itself does not accept."""
    cause = error.__context__
    if isinstance(cause, Refusal):
        return cause
    if cause is not None and not isinstance(cause, httptools.HttpParserError):
        log.error("parser_callback_failed", exc_info=cause)
    return refusals.MALFORMED
