"""Path and query of calls whose URL names the model; all but Azure's follow the base URL and the row's prefix."""

from __future__ import annotations

import re
from urllib.parse import quote

from trunkline.errors import InvalidRequest

# https://github.com/openai/openai-python/blob/main/src/openai/lib/azure.py: the others name the model in the body alone
AZURE_DEPLOYMENT_PATHS = frozenset(
    (
        b"/chat/completions",
        b"/embeddings",
        b"/audio/transcriptions",
        b"/audio/translations",
        b"/audio/speech",
        b"/images/generations",
        b"/images/edits",
    )
)

# Escaped or not, some servers resolve these, and what they lead to is another endpoint under the provider's key.
_UPWARD = frozenset((".", ".."))


def segment(model: str, safe: str = "") -> bytes:
    """A model's name as one segment of a path. Raises InvalidRequest for one that would mean another path."""
    if not model or not _UPWARD.isdisjoint(re.split(r"[/\\]", model)):
        raise InvalidRequest(f"'{model}' cannot be a model's name.", param="model")
    return quote(model, safe=safe).encode("ascii")


def bedrock_converse(model: str, *, streaming: bool) -> bytes:
    """A name may be an ARN: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStream.html"""
    return b"/model/" + segment(model) + (b"/converse-stream" if streaming else b"/converse")


def vertex_messages(model: str, *, streaming: bool) -> bytes:
    """Claude on Vertex AI: https://platform.claude.com/docs/en/build-with-claude/claude-on-vertex-ai

    The body has no `model`, and `anthropic_version: vertex-2023-10-16` in the header's place.
    """
    return b"/models/" + segment(model, "@") + (b":streamRawPredict" if streaming else b":rawPredict")


# The model stays in the body:
# https://docs.cloud.google.com/vertex-ai/generative-ai/docs/partner-models/claude/count-tokens
VERTEX_COUNT_TOKENS = b"/models/count-tokens:rawPredict"


def azure(prefix: bytes, path: bytes, deployment: str, api_version: str | None) -> bytes:
    """The whole target. `path` is OpenAI's own. A prefix that ends in `/openai` has a path for each deployment, one in
    `/openai/v1` none.

    https://learn.microsoft.com/azure/foundry/openai/api-version-lifecycle
    """
    query = b"?api-version=" + api_version.encode("ascii") if api_version is not None else b""
    if prefix.endswith(b"/openai") and path in AZURE_DEPLOYMENT_PATHS:
        return prefix + b"/deployments/" + segment(deployment) + path + query
    return prefix + path + query
