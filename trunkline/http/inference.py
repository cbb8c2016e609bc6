"""The inference routes: one pure ASGI callable, no framework, no middleware."""
