"""Every forwarded endpoint is described, and the shapes are those that OpenAI's own client reads."""

from __future__ import annotations

import pytest
from openai.types import CreateEmbeddingResponse, Embedding

from trunkline.http import openapi
from trunkline.http.forwarding import ROUTES
from trunkline.http.openapi_endpoints import Embedding as Described
from trunkline.http.openapi_endpoints import EmbeddingList, paths
from trunkline.http.operations import Json
from trunkline.pipeline.forward import FORMS

DOCUMENT: Json = openapi.document({"paths": {}})


def test_every_route_is_described() -> None:
    assert set(paths()) == set(ROUTES)
    assert set(paths()) <= set(DOCUMENT["paths"])


@pytest.mark.parametrize("path", ROUTES)
def test_forms_are_described_as_forms(path: str) -> None:
    content = DOCUMENT["paths"][path]["post"]["requestBody"]["content"]
    assert set(content) == {"multipart/form-data" if ROUTES[path] in FORMS else "application/json"}


@pytest.mark.parametrize("path", [path for path, endpoint in ROUTES.items() if endpoint != "moderations"])
def test_every_request_names_its_model(path: str) -> None:
    (content,) = DOCUMENT["paths"][path]["post"]["requestBody"]["content"].values()
    schema = DOCUMENT["components"]["schemas"][content["schema"]["$ref"].rpartition("/")[2]]
    assert "model" in schema["required"]


def test_embeddings_have_the_fields_of_the_client() -> None:
    assert set(EmbeddingList.__struct_fields__) == set(CreateEmbeddingResponse.model_fields)
    assert set(Described.__struct_fields__) == set(Embedding.model_fields)
