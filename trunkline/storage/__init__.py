"""Fulfils the ports on a database. The only floor that knows SQL."""
