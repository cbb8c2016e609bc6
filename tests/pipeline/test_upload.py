"""A form on its way: the model is found wherever it stands, what goes out is the form, and little of it is held."""

from __future__ import annotations

import asyncio
import os
import random
import tempfile
from collections.abc import AsyncIterator, Iterable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.thoroughness import examples
from tests.wire.test_multipart import parts_of
from trunkline.errors import BodyTooLarge, ClientGone, Defect, InvalidRequest, Unavailable
from trunkline.pipeline.upload import HELD_BYTES, Upload, UploadOptions
from trunkline.wire.multipart import read_boundary

MEGABYTE = random.Random(1).randbytes(1_000_000)
CUT = 65_536


def part(name: str, value: bytes, filename: str | None = None) -> bytes:
    disposition = f'form-data; name="{name}"' + (f'; filename="{filename}"' if filename is not None else "")
    return b"--b0undary\r\nContent-Disposition: " + disposition.encode() + b"\r\n\r\n" + value + b"\r\n"


MODEL = part("model", b"mine")
END = b"--b0undary--\r\n"


class Source:
    """A caller's bytes, in pieces; `asked` is how many have been."""

    def __init__(self, form: bytes, size: int = CUT, then: Exception | None = None) -> None:
        self.asked = 0
        self._pieces = [form[i : i + size] for i in range(0, len(form), size)]
        self._then = then

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while self._pieces:
            self.asked += 1
            yield self._pieces.pop(0)
        if self._then is not None:
            raise self._then


def uploaded(source: Source, limit: int = 25_000_000) -> Upload:
    return Upload(source.__aiter__(), b"b0undary", UploadOptions(put_aside_bytes=limit))


async def gathered(upload: Upload, model: str = "theirs") -> bytes:
    return b"".join([piece async for piece in upload.pieces(model)])


def values(upload: Upload, form: bytes) -> list[tuple[str, bytes]]:
    return [(name, value) for name, _, _, value in parts_of(form, read_boundary(upload.kind.decode()))]


@pytest.mark.parametrize("form", [MODEL + part("file", b"abc", "a") + END, part("file", b"abc", "a") + MODEL + END])
async def test_a_small_form_is_whole_and_can_be_sent_again(form: bytes) -> None:
    upload = uploaded(Source(form, 7))
    await upload.begin()
    assert (upload.model, upload.ended, upload.stream, upload.files) == ("mine", True, False, 1)
    for model in ("theirs", "another-one"):
        whole = upload.whole(model)
        assert whole is not None
        assert upload.length(model) == len(whole)
        assert sorted(values(upload, whole)) == [("file", b"abc"), ("model", model.encode())]
        assert await gathered(upload, model) == whole
        assert upload.can_be_sent


async def test_a_large_file_behind_its_model_is_not_waited_for() -> None:
    source = Source(MODEL + part("stream", b"true") + part("file", 20 * MEGABYTE, "a") + END)
    upload = uploaded(source)
    await upload.begin()
    assert (upload.model, upload.ended, upload.stream, upload.files) == ("mine", False, True, None)
    assert source.asked * CUT <= HELD_BYTES + 2 * CUT
    assert (upload.whole("theirs"), upload.length("theirs"), upload.can_be_sent) == (None, None, True)
    sizes = []
    form = b""
    async for piece in upload.pieces("theirs"):
        sizes.append(len(piece))
        form += piece
    assert max(sizes[1:]) <= CUT + 100
    assert values(upload, form) == [("model", b"theirs"), ("stream", b"true"), ("file", 20 * MEGABYTE)]
    assert not upload.can_be_sent
    with pytest.raises(Defect):
        await gathered(upload)


async def test_until_the_rest_is_asked_for_a_form_can_be_sent_again() -> None:
    upload = uploaded(Source(MODEL + part("file", 3 * MEGABYTE, "a") + END))
    await upload.begin()
    begun = upload.pieces("theirs")
    await anext(begun)
    assert upload.can_be_sent
    assert values(upload, await gathered(upload, "other"))[0] == ("model", b"other")


@pytest.mark.parametrize("behind", [0, 3])
async def test_a_large_file_before_its_model_is_put_aside_on_disk(behind: int) -> None:
    more = part("second", behind * MEGABYTE, "b")
    source = Source(part("file", 5 * MEGABYTE, "a") + MODEL + more + END)
    upload = uploaded(source)
    await upload.begin()
    assert upload.model == "mine"
    assert upload.ended is (behind == 0)
    assert upload.whole("theirs") is None
    if not behind:
        # It is all here: any number of attempts may be made, and its length is known.
        for model in ("theirs", "another"):
            form = await gathered(upload, model)
            assert upload.length(model) == len(form)
            assert values(upload, form)[:2] == [("file", 5 * MEGABYTE), ("model", model.encode())]
    else:
        form = await gathered(upload)
        assert values(upload, form) == [
            ("file", 5 * MEGABYTE),
            ("model", b"theirs"),
            ("second", behind * MEGABYTE),
        ]
    await upload.close()
    await upload.close()


async def test_what_is_put_aside_leaves_no_file_behind(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    before = len(os.listdir("/proc/self/fd"))
    upload = uploaded(Source(part("file", 2 * MEGABYTE, "a") + MODEL + END))
    await upload.begin()
    assert os.listdir(tmp_path) == []  # unlinked from the start, so that a crash leaves nothing either
    assert len(os.listdir("/proc/self/fd")) == before + 1
    await upload.close()
    assert len(os.listdir("/proc/self/fd")) == before


async def test_no_more_is_put_aside_than_may_be() -> None:
    source = Source(part("file", 20 * MEGABYTE, "a") + MODEL + END)
    upload = uploaded(source, 2_000_000)
    with pytest.raises(BodyTooLarge, match="2,000,000 bytes") as caught:
        await upload.begin()
    assert (caught.value.param, caught.value.code) == ("model", "request_too_large")
    assert source.asked * CUT < 2_000_000 + 2 * HELD_BYTES
    await upload.close()


async def test_a_disk_that_is_full(monkeypatch: pytest.MonkeyPatch) -> None:
    def full() -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tempfile, "TemporaryFile", full)
    with pytest.raises(Unavailable, match="disk"):
        await uploaded(Source(part("file", 2 * MEGABYTE, "a") + MODEL + END)).begin()


@pytest.mark.parametrize(
    ("form", "param"),
    [
        (part("file", b"x", "a") + END, "model"),
        (part("model", b"") + END, "model"),
        (part("model", b"m" * 2000) + END, "model"),
        (MODEL + MODEL + END, "model"),
        (MODEL + part("file", b"x", "a"), None),
        (b"", None),
    ],
)
async def test_a_form_that_names_no_model_or_is_none(form: bytes, param: str | None) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await uploaded(Source(form, 5)).begin()
    assert caught.value.param == param


@pytest.mark.parametrize(("rest", "error"), [(MODEL + END, InvalidRequest), (b"", InvalidRequest), (b"", ClientGone)])
async def test_what_is_wrong_with_the_rest_is_found_on_its_way(rest: bytes, error: type[Exception]) -> None:
    then = ClientGone("gone") if error is ClientGone else None
    upload = uploaded(Source(MODEL + part("file", 3 * MEGABYTE, "a") + rest, then=then))
    await upload.begin()
    with pytest.raises(error):
        await gathered(upload)


async def test_an_upload_that_is_cancelled_while_it_waits_gives_all_back() -> None:
    arrived = asyncio.Event()

    async def stalled() -> AsyncIterator[bytes]:
        yield part("file", 2 * MEGABYTE, "a")
        arrived.set()
        await asyncio.Event().wait()

    before = len(os.listdir("/proc/self/fd"))
    upload = Upload(stalled(), b"b0undary", UploadOptions())
    beginning = asyncio.create_task(upload.begin())
    await arrived.wait()
    beginning.cancel()
    with pytest.raises(asyncio.CancelledError):
        await beginning
    await upload.close()
    assert len(os.listdir("/proc/self/fd")) == before


@settings(deadline=None, max_examples=examples(25))
@given(
    st.lists(st.sampled_from([b"", b"x" * 10, MEGABYTE[:300_000], MEGABYTE[:700_000]]), max_size=4),
    st.integers(0, 4),
    st.sampled_from([1000, CUT, 1 << 30]),
)
async def test_wherever_the_model_stands_the_form_is_the_same(files: list[bytes], place: int, size: int) -> None:
    named = [part(f"file{number}", value, "f") for number, value in enumerate(files)]
    named.insert(min(place, len(named)), MODEL)
    upload = uploaded(Source(b"".join((*named, END)), size))
    await upload.begin()
    length = upload.length("theirs")
    form = await gathered(upload)
    assert length in (None, len(form))
    expected: Iterable[tuple[str, bytes]] = [(f"file{number}", value) for number, value in enumerate(files)]
    listed = list(expected)
    listed.insert(min(place, len(listed)), ("model", b"theirs"))
    assert values(upload, form) == listed
    await upload.close()
