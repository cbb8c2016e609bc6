"""Which model answers at which endpoint of OpenAI's API."""

from __future__ import annotations

import re

from trunkline.errors import InvalidRequest, NotFound
from trunkline.providers.sandbox import models

SERVED: dict[str, frozenset[str]] = {
    "/chat/completions": frozenset(models.CHAT),
    "/responses": frozenset(models.CHAT),
    "/embeddings": frozenset({"embed"}),
    "/images": frozenset({"paint"}),
    "/audio/speech": frozenset({"speak"}),
    "/audio/transcriptions": frozenset({"transcribe"}),
    "/moderations": frozenset({"moderate"}),
    "/rerank": frozenset({"rerank"}),
}
"""By endpoint, its models. `/images` stands for generations and edits, transcriptions for translations too."""

_PROVIDER = re.compile(r"^sandbox(-[a-z]+)?/")


def model_of(asked: str, endpoint: str) -> str:
    """The name without its provider. Raises NotFound, or InvalidRequest for a model of another endpoint."""
    model = _PROVIDER.sub("", asked.casefold())
    if model in SERVED[endpoint]:
        return model
    for other, served in SERVED.items():
        if model in served:
            sentence = f"The model `{asked[:200]}` does not answer at {endpoint}, but at {other}"
            raise InvalidRequest(sentence, code="unsupported_model", param="model")
    raise NotFound(f"The model `{asked[:200]}` does not exist", code="model_not_found", param="model")
