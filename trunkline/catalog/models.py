"""What a model is, and what it takes to reach it. Unknown facts are None, never guessed."""

from __future__ import annotations

import msgspec

from trunkline.catalog import families
from trunkline.catalog.prices import Price
from trunkline.catalog.provider_row import Face, Provider


class Capabilities(msgspec.Struct, frozen=True, kw_only=True):
    """None is unknown."""

    tools: bool | None = None
    vision: bool | None = None
    json_schema: bool | None = None
    reasoning: bool | None = None
    streaming: bool | None = None


class Model(msgspec.Struct, frozen=True, kw_only=True):
    """A model as the catalog lists it. `id` is `provider/rest`; `upstream` is the name the provider knows.

    `context_window` and `max_output_tokens` are tokens; `created` is the day of its release in Unix seconds.
    """

    id: str
    provider: str
    upstream: str
    name: str
    price: Price | None = None
    context_window: int | None = None
    max_output_tokens: int | None = None
    input_modalities: tuple[str, ...] | None = None
    output_modalities: tuple[str, ...] | None = None
    capabilities: Capabilities = Capabilities()
    created: int | None = None


class Deployment(msgspec.Struct, frozen=True, kw_only=True):
    """A model at a provider that has a credential. `provider_id` is the name in the settings (`office-vllm`)."""

    model_id: str
    provider_id: str
    provider: Provider
    upstream: str
    model: Model | None = None

    def face(self, protocol: str) -> Face:
        """How to reach it for a caller who speaks `protocol`: in that if it can be, else in what it speaks best."""
        speaks = self.provider.speaks
        faces = [face for face in speaks if face.only and self.upstream.startswith(face.only)]
        faces = faces or [face for face in speaks if not face.only]
        family = families.find(self.provider.id, self.upstream)
        if family is not None and family.only is not None:
            faces = [face for face in faces if face.protocol == family.only] or faces
        return next((face for face in faces if face.protocol == protocol), faces[0])
