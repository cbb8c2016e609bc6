"""Facts about providers, models and prices. Pure: facts, no behaviour."""
