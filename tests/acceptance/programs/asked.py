"""What the suites in this folder ask of the gateway that the environment names.

`UPSTREAMS` are the sandbox's providers, each of which speaks another protocol; `SIGNED` those whose reasoning bears a
signature that must come back unharmed.
"""

import os

import pytest

URL = os.environ["TRUNKLINE_URL"]
KEY = os.environ["TRUNKLINE_KEY"]

UPSTREAMS = ("sandbox", "sandbox-messages", "sandbox-responses", "sandbox-gemini")
SIGNED = ("sandbox-messages", "sandbox-responses", "sandbox-gemini")

each_upstream = pytest.mark.parametrize("upstream", UPSTREAMS)
each_that_signs = pytest.mark.parametrize("upstream", SIGNED)

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNkYAAAAAYAAjCB0C8AAAAASUVORK5CYII="
PICTURE_SEEN = "PNG, 1 x 1 pixels"

WEATHER = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer", "minimum": 1, "maximum": 9}},
    "required": ["city", "days"],
    "additionalProperties": False,
}
NO_ARGUMENTS = {"type": "object", "properties": {}, "additionalProperties": False}
