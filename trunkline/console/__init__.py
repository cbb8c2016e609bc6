"""Pages for people. Calls what http calls; no private doors."""
