"""Bytes to typed messages and back, exactly as vendors spell them. Pure: no loop, no socket, no clock."""
