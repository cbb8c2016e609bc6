"""LangChain's standard integration tests for ChatOpenAI, against the gateway in the environment.

The engine answers with a fixed sentence and one fixed tool call, so what needs a model that understands is marked.
"""

import os

import pytest
from langchain_core.language_models import BaseChatModel
from langchain_openai import ChatOpenAI
from langchain_tests.integration_tests import ChatModelIntegrationTests


class TestThroughTrunkline(ChatModelIntegrationTests):
    @property
    def chat_model_class(self) -> type[BaseChatModel]:
        return ChatOpenAI

    @property
    def chat_model_params(self) -> dict[str, object]:
        return {
            "model": "tiny",
            "base_url": os.environ["TRUNKLINE_URL"] + "/v1",
            "api_key": os.environ["TRUNKLINE_KEY"],
            "stream_usage": True,
            "max_retries": 0,
        }

    @property
    def has_tool_calling(self) -> bool:
        return False

    @property
    def has_structured_output(self) -> bool:
        return False

    @property
    def supports_image_inputs(self) -> bool:
        return False


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__]))
