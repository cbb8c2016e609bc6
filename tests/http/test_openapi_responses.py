"""Calls of Responses are described, and what is described are fields that OpenAI's own client knows."""

from __future__ import annotations

import pytest
from openai.types.responses import CompactedResponse, InputTokenCountResponse
from openai.types.responses.response_create_params import ResponseCreateParamsBase

from trunkline.http import openapi
from trunkline.http.openapi_responses import (
    CompactedResponse as DescribedCompaction,
)
from trunkline.http.openapi_responses import InputTokens, ResponsesRequest, paths
from trunkline.http.operations import Json

DOCUMENT: Json = openapi.document({"paths": {}})


@pytest.mark.parametrize("path", paths())
def test_every_route_is_in_the_document_and_names_its_model(path: str) -> None:
    described = DOCUMENT["paths"][path]["post"]
    reference = described["requestBody"]["content"]["application/json"]["schema"]["$ref"]
    assert "model" in DOCUMENT["components"]["schemas"][reference.rpartition("/")[2]]["required"]


def test_the_fields_are_those_of_the_client() -> None:
    known = set(ResponseCreateParamsBase.__annotations__) | {"stream"}
    assert set(ResponsesRequest.__struct_fields__) <= known
    assert set(InputTokens.__struct_fields__) == set(InputTokenCountResponse.model_fields)
    assert set(DescribedCompaction.__struct_fields__) <= set(CompactedResponse.model_fields)
