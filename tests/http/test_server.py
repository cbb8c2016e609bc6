from __future__ import annotations

import resource
import signal
import subprocess
import sys

import msgspec
import pytest

from tests.http.raw import PATIENCE_S, Client
from tests.http.worker import PROGRAM
from trunkline.errors import SettingsInvalid
from trunkline.http import server
from trunkline.http.server import Hooks, Seat, ServerOptions


def test_the_file_limit_is_raised_to_what_is_allowed() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(512, hard), hard))
    try:
        server.raise_file_limit()
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (hard, hard)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_seat_survives_the_command_line() -> None:
    seat = Seat(life_fd=4, ready_fd=11, listen_fds=(3, 7))
    assert Seat.parse(str(seat)) == seat
    for text in ("", "4", "4,x", "4;5"):
        with pytest.raises(ValueError, match=r"not enough|invalid literal"):
            Seat.parse(text)


def test_settings_can_be_read_without_a_server() -> None:
    program = "import sys, trunkline.http.server; print([name for name in sys.modules if name in sys.argv])"
    done = subprocess.run(
        [sys.executable, "-c", program, "uvicorn", "uvloop", "httptools"], check=True, capture_output=True, text=True
    )
    assert done.stdout.strip() == "[]"


def test_run_refuses_before_it_listens() -> None:
    with pytest.raises(SettingsInvalid):
        server.run(lambda _serving: pytest.fail("never made"), ServerOptions(host="0.0.0.0"), Hooks())


@pytest.mark.slow
@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_a_process_serves_reloads_and_ends_in_order(stop: signal.Signals) -> None:
    text = msgspec.json.encode(ServerOptions(port=0)).decode()
    with subprocess.Popen([*PROGRAM, "alone", text], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        word, _, url = process.stdout.readline().strip().partition(" ")
        assert word == "ready"
        with Client(int(url.rpartition(":")[2])) as client:
            client.send(b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
            assert client.answer().status == 100
            process.send_signal(signal.SIGHUP)
            assert process.stdout.readline().strip() == "hup"
            process.send_signal(stop)
            client.send(b"hello")
            assert client.answer().facts()["body"] == "hello"
        assert process.wait(PATIENCE_S) == 0
