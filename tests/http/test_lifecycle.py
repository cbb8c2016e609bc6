from __future__ import annotations

import asyncio
import email.utils
import threading
import time
from collections.abc import Callable

import pytest

from tests.http.raw import PATIENCE_S, Client, Running, serving
from trunkline.http import lifecycle, listening
from trunkline.http.asgi import Application, Receive, Scope, Send
from trunkline.http.lifecycle import Lifecycle
from trunkline.http.listening import ServerOptions
from trunkline.http.serving import Serving

GET = b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n"


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline
        threading.Event().wait(0.01)


def refuses(running: Running) -> bool:
    try:
        Client(running.port).reset()
    except (ConnectionRefusedError, ConnectionResetError):  # A reset, when it is closed at this very moment.
        return True
    return False


def test_ready_is_said_once_the_application_is() -> None:
    with serving() as running:
        readiness = running.application.serving.readiness
        assert (readiness.ready, readiness.draining) == (True, False)
        assert running.lifecycle.url == f"http://127.0.0.1:{running.port}"
    assert (readiness.ready, readiness.draining) == (False, True)
    assert running.application.stopped.is_set()


def test_answers_carry_the_date_and_no_name_of_a_program() -> None:
    with serving() as running, Client(running.port) as client:
        client.send(GET)
        headers = client.answer().headers
        assert abs(email.utils.parsedate_to_datetime(headers["date"]).timestamp() - time.time()) < 5
        assert "server" not in headers


def test_a_stream_is_finished_while_draining() -> None:
    with serving(drain_s=PATIENCE_S) as running, Client(running.port) as client:
        client.get("/stream")
        running.application.await_entered()
        running.stop()
        until(lambda: refuses(running))
        assert not running.application.stopped.is_set()
        running.application.release("/stream")
        assert client.answer().body == b"begun ended"
        assert client.rest() == b""
        running.await_stopped()
        assert running.application.stopped.is_set()


def test_a_request_on_a_kept_connection_is_answered_while_draining() -> None:
    with serving(drain_s=PATIENCE_S) as running, Client(running.port) as client:
        client.send(GET)
        assert "connection" not in client.answer().headers
        running.stop()
        until(lambda: running.lifecycle.state.draining)
        client.send(GET)
        answer = client.answer()
        assert (answer.status, answer.headers["connection"]) == (200, "close")
        assert client.rest() == b""


def test_an_idle_connection_does_not_hold_up_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lifecycle, "IDLE_NOTICE_S", 0.1)
    with serving(drain_s=PATIENCE_S) as running, Client(running.port) as used, Client(running.port) as unused:
        used.send(GET)
        used.answer()
        running.stop()
        assert used.rest() == b""
        assert unused.rest() == b""
        running.await_stopped()


def test_what_does_not_end_in_time_is_cut() -> None:
    with serving(drain_s=0.1) as running, Client(running.port) as client:
        client.get("/hold")
        running.application.await_entered()
        running.stop()
        assert client.rest() == b""
        running.await_stopped()
        assert running.application.stopped.is_set()


def test_the_second_word_does_not_wait() -> None:
    with serving(drain_s=60.0, drain_notice_s=60.0) as running, Client(running.port) as client:
        client.get("/hold")
        running.application.await_entered()
        running.stop()
        running.stop()
        assert client.rest() == b""
        running.await_stopped()


def test_notice_is_given_before_connections_are_refused() -> None:
    """A load balancer must see /readyz fail while calls are still served."""
    with serving(drain_notice_s=60.0) as running:
        running.stop()
        readiness = running.application.serving.readiness
        until(lambda: readiness.draining)
        assert not readiness.ready
        with Client(running.port) as client:
            client.send(GET)
            assert client.answer().status == 200
        running.stop()
        running.await_stopped()


def test_stopping_under_load_fails_no_call() -> None:
    """Clients that keep their connection and ask without a pause: every call sent gets its whole answer."""
    begun = threading.Barrier(9)
    failures: list[str] = []
    answered = 0

    def ask(running: Running) -> None:
        nonlocal answered
        with Client(running.port) as client:
            client.send(GET)
            client.answer()
            begun.wait()
            while True:
                client.send(GET)
                try:
                    answer = client.answer()
                except (EOFError, ConnectionResetError) as error:
                    failures.append(repr(error))
                    return
                answered += 1
                if answer.headers.get("connection") == "close":
                    return

    with serving(drain_s=PATIENCE_S) as running:
        askers = [threading.Thread(target=ask, args=(running,)) for _ in range(8)]
        for asker in askers:
            asker.start()
        begun.wait()
        until(lambda: answered > 100)
        running.stop()
        for asker in askers:
            asker.join(PATIENCE_S)
        running.await_stopped()
    assert not failures
    assert answered > 100


def test_connections_made_at_the_last_moment_are_served() -> None:
    """What has connected before the port is closed is not reset."""
    with serving(drain_s=PATIENCE_S) as running:
        clients = [Client(running.port) for _ in range(50)]
        running.stop()
        for client in clients:
            client.send(GET)
            assert client.answer().status == 200
            client.reset()
        running.await_stopped()


async def test_an_application_that_cannot_start_is_not_served() -> None:
    (bound,) = listening.listen(ServerOptions(port=0))

    async def application(_scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.failed", "message": ""})

    def make(_serving: Serving) -> Application:
        return application

    with bound:
        made = Lifecycle(ServerOptions(port=0), [bound], None)
        assert not await made.start(make)
        assert not made.serving.readiness.ready
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(*bound.getsockname())
