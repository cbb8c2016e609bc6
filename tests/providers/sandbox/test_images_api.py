from __future__ import annotations

from base64 import b64decode
from typing import Any

import pytest
from openai import BadRequestError

from tests.providers.sandbox.exchange import JSON
from tests.providers.sandbox.openai_client import client, post, refused
from trunkline.providers.sandbox.images import read_size
from trunkline.providers.sandbox.png import pattern

PATH = "/images/generations"
IMAGE = pattern(b"given", 64, 48)


def size_of(b64: str | None) -> tuple[str, int, int] | None:
    assert b64 is not None
    return read_size(b64decode(b64))


async def test_generations() -> None:
    async with client() as openai:
        found = await openai.images.generate(
            model="sandbox/paint", prompt="a red cat", n=3, size="64x32", quality="low"
        )
        again = await openai.images.generate(model="paint", prompt="a red cat", size="64x32")
        other = await openai.images.generate(model="paint", prompt="a red dog", size="64x32")
        usual = await openai.images.generate(model="paint", prompt="a red dog", background="transparent")
    assert found.data is not None
    assert again.data is not None
    assert other.data is not None
    assert usual.data is not None
    assert [size_of(each.b64_json) for each in found.data] == [("PNG", 64, 32)] * 3
    assert len({each.b64_json for each in found.data}) == 3
    assert again.data[0] == found.data[0] != other.data[0]
    assert size_of(usual.data[0].b64_json) == ("PNG", 1_024, 1_024)
    assert (found.size, found.quality, found.output_format, found.background) == ("64x32", "low", "png", "opaque")
    assert (usual.size, usual.quality, usual.background) == ("1024x1024", "medium", "transparent")
    assert found.usage is not None
    assert (found.usage.input_tokens, found.usage.output_tokens, found.usage.total_tokens) == (3, 816, 819)


async def test_edits() -> None:
    async with client() as openai:
        found = await openai.images.edit(
            model="paint", prompt="a red cat", image=[("a.png", IMAGE), ("b.png", IMAGE)], mask=("m.png", IMAGE), n=2
        )
        other = await openai.images.edit(model="paint", prompt="a red cat", image=("a.png", IMAGE), size="32x32")
        with pytest.raises(BadRequestError) as caught:
            await openai.images.edit(model="paint", prompt="x", image=("a.txt", b"hello"))
    assert found.data is not None
    assert other.data is not None
    assert found.usage is not None
    assert [size_of(each.b64_json) for each in found.data] == [("PNG", 64, 48)] * 2
    assert size_of(other.data[0].b64_json) == ("PNG", 32, 32)
    assert found.usage.input_tokens_details.image_tokens == 300
    assert (caught.value.param, caught.value.code) == ("image", "invalid_image")


async def test_what_is_given_changes_what_is_painted() -> None:
    async with client() as openai:
        images = [
            (await openai.images.edit(model="paint", prompt="x", image=("a.png", given), size="32x32")).data
            for given in (IMAGE, pattern(b"other", 64, 48))
        ]
    assert images[0] != images[1]


async def test_a_mask_of_another_size_is_refused() -> None:
    async with client() as openai:
        with pytest.raises(BadRequestError) as caught:
            await openai.images.edit(
                model="paint", prompt="x", image=("a.png", IMAGE), mask=("m.png", pattern(b"", 64, 64))
            )
    assert caught.value.param == "mask"


async def test_an_edit_without_an_image_is_refused() -> None:
    body = b'--b\r\nContent-Disposition: form-data; name="prompt"\r\n\r\nx\r\n--b--\r\n'
    headers = [(b"content-type", b"multipart/form-data; boundary=b")]
    assert (await refused("/images/edits", body, headers))[0] == "image"
    assert (await post("/images/edits", b"{}")).status == 400


async def test_streams() -> None:
    async with client() as openai:
        events = [
            event
            async for event in await openai.images.generate(
                model="paint", prompt="x", size="32x32", stream=True, partial_images=2
            )
        ]
        edited = [
            event.type
            async for event in await openai.images.edit(
                model="paint", prompt="x", image=("a.png", IMAGE), stream=True, partial_images=1
            )
        ]
        whole = await openai.images.generate(model="paint", prompt="x", size="32x32")
    kinds = ["image_generation.partial_image"] * 2 + ["image_generation.completed"]
    assert [event.type for event in events] == kinds
    last = events[-1]
    assert last.type == "image_generation.completed"
    assert whole.data is not None
    assert last.b64_json == whole.data[0].b64_json
    assert whole.usage is not None
    assert last.usage.total_tokens == whole.usage.total_tokens
    assert edited == ["image_edit.partial_image", "image_edit.completed"]


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"prompt": ""}, "prompt"),
        ({"prompt": "x" * 32_001}, "prompt"),
        ({"n": 11}, "n"),
        ({"n": 2, "stream": True}, "n"),
        ({"size": "1024"}, "size"),
        ({"size": "8x8"}, "size"),
        ({"size": "4096x4096"}, "size"),
        ({"size": "\u0661\u0662x12"}, "size"),
        ({"response_format": "url"}, "response_format"),
        ({"output_format": "webp"}, "output_format"),
        ({"quality": "hd"}, "quality"),
        ({"style": "vivid"}, "style"),
        ({"model": "echo"}, "model"),
        ({"model": "dall-e-9"}, "model"),
    ],
)
async def test_refusals_name_their_field(body: JSON, param: str) -> None:
    whole: dict[str, Any] = {"model": "paint", "prompt": "x", "size": "32x32", **body}
    assert (await refused(PATH, whole))[0] == param
