"""Ollama's own chat, for servers of it."""
