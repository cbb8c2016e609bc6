"""One worker process, started by the supervisor: `python -m trunkline.cli.worker SEAT`, its order on standard input."""

from __future__ import annotations

import sys

from trunkline.app import serving
from trunkline.errors import TrunklineError
from trunkline.http.server import FAILED_TO_START, Seat


def run(arguments: list[str]) -> int:
    try:
        return serving.work(Seat.parse(arguments[-1]), sys.stdin.buffer.read())
    except TrunklineError as error:
        print(f"trunkline worker: {error.message}", file=sys.stderr)
        return FAILED_TO_START


if __name__ == "__main__":
    sys.exit(run(sys.argv))
