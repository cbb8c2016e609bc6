"""Programs for the tests of processes: `python -m tests.http.worker alone|parent|child <ServerOptions as JSON> [seat]`.

Prints `ready URL`, and `hup` for each SIGHUP. A child reads its settings from standard input and must find there what
its parent was given.
"""

from __future__ import annotations

import sys

import msgspec

from tests.http.raw import Steered
from trunkline.http.server import Hooks, Seat, ServerOptions, Serving, run
from trunkline.http.supervisor import supervise

PROGRAM = [sys.executable, "-m", "tests.http.worker"]


def application(serving: Serving) -> Steered:
    steered = Steered()
    steered.serving = serving
    return steered


def say(*words: str) -> None:
    print(*words, flush=True)


def main(mode: str, text: str, *rest: str) -> int:
    options = msgspec.json.decode(text, type=ServerOptions)
    hooks = Hooks(on_ready=lambda url: say("ready", url), on_hup=lambda: say("hup"))
    if mode == "alone":
        return run(application, options, hooks)
    if mode == "parent":
        return supervise(options, [*PROGRAM, "child", text], hooks, text.encode())
    if mode == "broken":
        return supervise(options, [sys.executable, "-c", "import sys; sys.exit(7)"], hooks)
    if sys.stdin.read() != text:
        return 9
    return run(application, options, Hooks(), Seat.parse(rest[0]))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
