"""What a model is, and what it takes to reach it. Unknown facts are None, never guessed."""

from __future__ import annotations

import msgspec

from trunkline.catalog.prices import Price
from trunkline.catalog.provider_row import Provider, Speaks
from trunkline.translation.target import Thinking


class Capabilities(msgspec.Struct, frozen=True, kw_only=True):
    """None is unknown."""

    tools: bool | None = None
    vision: bool | None = None
    json_schema: bool | None = None
    reasoning: bool | None = None
    streaming: bool | None = None


class Model(msgspec.Struct, frozen=True, kw_only=True):
    """A model as the catalog lists it. `id` is `provider/rest`; `upstream` is the name the provider knows.

    `protocols`: those of its provider's that it answers, when not all. `thinking` is how it is told to reason,
    `drops` are the parameters that it refuses.
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
    protocols: tuple[str, ...] = ()
    thinking: Thinking | None = None
    drops: tuple[str, ...] = ()


class Deployment(msgspec.Struct, frozen=True, kw_only=True):
    """A model at a provider that has a credential. `provider_id` is the name in the settings (`office-vllm`)."""

    model_id: str
    provider_id: str
    provider: Provider
    upstream: str
    model: Model | None = None

    def face(self, protocol: str) -> Speaks:
        """How to reach it for a caller who speaks `protocol`: in that if it can be, else in what it speaks best."""
        speaks = self.provider.speaks
        faces = [face for face in speaks if face.only and self.upstream.startswith(face.only)]
        faces = faces or [face for face in speaks if not face.only]
        answered = self.model.protocols if self.model is not None else ()
        faces = [face for face in faces if face.protocol in answered] or faces
        return next((face for face in faces if face.protocol == protocol), faces[0])
