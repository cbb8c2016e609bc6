from __future__ import annotations

from tests.http.raw import Client, serving
from trunkline.http.serving import Serving


def test_before_it_is_served_nothing_is_ready() -> None:
    told = Serving()
    assert (told.readiness.ready, told.readiness.draining) == (False, False)
    assert told.in_flight == 0


def test_calls_in_flight_are_counted() -> None:
    with serving() as running:
        told = running.application.serving
        with Client(running.port) as first, Client(running.port) as second:
            for count, client in enumerate((first, second), 1):
                client.get("/hold")
                running.application.await_entered()
                assert told.in_flight == count
            assert len(told.connections) == 2
            running.application.release("/hold")
            assert [client.answer().body for client in (first, second)] == [b"held", b"held"]
