"""The variables of the environment that usually hold providers' keys, as config.py read them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from trunkline.catalog.providers import PROVIDERS
from trunkline.providers.credentials import VARIABLES
from trunkline.providers.vertex import CREDENTIALS_FILE


class ProviderKeys(Mapping[str, str]):
    """The variables of the environment that usually hold providers' keys, and what clouds want to know beside them.

    Under GOOGLE_APPLICATION_CREDENTIALS stands the text of the file that it names; it is absent when the file cannot be
    read. Printing it shows the names alone.
    """

    __slots__ = ("_values",)

    def __init__(self, environment: Mapping[str, str]) -> None:
        names = [*(name for provider in PROVIDERS.values() for name in provider.key_names), *VARIABLES]
        self._values = {name: environment[name].strip() for name in names if environment.get(name, "").strip()}
        if CREDENTIALS_FILE in self._values:
            try:
                self._values[CREDENTIALS_FILE] = Path(self._values[CREDENTIALS_FILE]).read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError):
                del self._values[CREDENTIALS_FILE]

    def __getitem__(self, name: str) -> str:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"ProviderKeys({', '.join(sorted(self._values))})"
