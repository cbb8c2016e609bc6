"""Sockets to calls: the hardened server, the inference routes, the admin API."""
