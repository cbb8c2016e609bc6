"""The sandbox: a provider inside this process. Deterministic, free, without key or network, and no language model."""
