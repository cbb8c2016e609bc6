"""How budgets are cut into leases."""

from __future__ import annotations

# A slice is for this many calls like the one that asks, and at most this part of what is left: so a call in many asks
# the store, several processes find something left, and at the end each call takes just what it needs.
CALLS_PER_SLICE = 64
SLICES_LEFT = 8


def slice_size(left: int, at_least: int) -> int:
    """Nano-dollars to lease, where `left` are neither spent nor leased and `at_least` are needed now; 0 when they are
    not there. Never more than `left`, and exactly `at_least` once little is left."""
    if at_least > left:
        return 0
    return max(at_least, min(left // SLICES_LEFT, at_least * CALLS_PER_SLICE))
