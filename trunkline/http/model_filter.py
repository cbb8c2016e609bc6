"""Which models of a list are wanted: by provider, by what they take and give, by what they can do."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

import msgspec

from trunkline.catalog.models import Capabilities
from trunkline.errors import InvalidRequest
from trunkline.routing.table import Listing

CAPABILITIES = Capabilities.__struct_fields__


class ModelFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Each is one value or several with commas between: any of the providers, every one of the modalities (of input or
    output) and capabilities. What is not known of a model is not there."""

    provider: str = ""
    modality: str = ""
    capability: str = ""

    @property
    def is_open(self) -> bool:
        return not (self.provider or self.modality or self.capability)

    def check(self, lines: Iterable[Listing]) -> None:
        """Raises InvalidRequest for a value that nothing in these lines could have, naming those that there are."""
        if self.is_open:
            return
        providers: set[str] = set()
        modalities: set[str] = set()
        for line in lines:
            providers.add(line.provider_id.casefold())
            modalities.update(_modalities(line))
        known: Mapping[str, Collection[str]] = {
            "provider": providers,
            "modality": modalities,
            "capability": CAPABILITIES,
        }
        for name, values in known.items():
            for value in _values(getattr(self, name)):
                if value not in values:
                    raise InvalidRequest(
                        f"No {name} is called '{value[:64]}'; there are {', '.join(sorted(values))}.", param=name
                    )

    def admits(self, line: Listing) -> bool:
        wanted = _values(self.provider)
        if wanted and line.provider_id.casefold() not in wanted:
            return False
        if not _modalities(line).issuperset(_values(self.modality)):
            return False
        can = line.model.capabilities if line.model is not None else Capabilities()
        return all(getattr(can, name, None) is True for name in _values(self.capability))


def _values(given: str) -> list[str]:
    return [value for part in given.split(",") if (value := part.strip().casefold())]


def _modalities(line: Listing) -> set[str]:
    model = line.model
    if model is None:
        return set()
    return {*(model.input_modalities or ()), *(model.output_modalities or ())}
