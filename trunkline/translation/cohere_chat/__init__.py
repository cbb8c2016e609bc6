"""Cohere's own chat (v2), for providers of it."""
