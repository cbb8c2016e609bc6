"""May this key make this call, and what did it use. Pure."""
