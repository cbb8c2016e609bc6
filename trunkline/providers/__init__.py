"""The outside world: the only floor that opens connections to providers."""
