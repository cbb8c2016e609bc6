"""Embeddings, images, audio, moderations and rerank through a real gateway: OpenAI's own client against the sandbox,
and large uploads against a provider that takes its time."""

from __future__ import annotations

import base64
import io
import json
import random
import socket
import threading
import time
from collections.abc import Iterator

import openai
import pytest

from tests.acceptance.asking import Process, connected, eventually, head, read_reply
from tests.acceptance.conftest import Gateway, serving

pytestmark = pytest.mark.acceptance

MIB = 1024 * 1024
UPLOAD_BYTES = 200 * MIB
BOUNDARY = "----a-form-s-boundary"


@pytest.fixture(scope="module")
def client(gateway: Gateway) -> openai.OpenAI:
    return openai.OpenAI(api_key=gateway.key, base_url=f"{gateway.url}/v1", max_retries=0)


def test_embeddings_in_both_encodings_are_the_same_vectors(client: openai.OpenAI) -> None:
    texts = ["Hello world", "another", "Hello world"]
    # The client asks for base64 and unpacks it, unless it is told otherwise.
    packed = client.embeddings.create(model="sandbox/embed", input=texts)
    plain = client.embeddings.create(model="sandbox/embed", input=texts, encoding_format="float")
    vectors = [item.embedding for item in packed.data]
    assert vectors == [pytest.approx(item.embedding, rel=1e-6, abs=1e-6) for item in plain.data]
    assert vectors[0] == vectors[2] != vectors[1]
    assert [item.index for item in packed.data] == [0, 1, 2]
    assert packed.usage.prompt_tokens == packed.usage.total_tokens > 0
    short = client.embeddings.create(model="sandbox/embed", input=[[1, 2, 3], [4]], dimensions=64)
    assert [len(item.embedding) for item in short.data] == [64, 64]


def test_more_embeddings_than_the_provider_takes_at_once(client: openai.OpenAI) -> None:
    texts = [f"text number {number}" for number in range(2500)]
    many = client.embeddings.create(model="sandbox/embed", input=texts, dimensions=8)
    assert [item.index for item in many.data] == list(range(2500))
    alone = client.embeddings.create(model="sandbox/embed", input=texts[2400], dimensions=8)
    assert many.data[2400].embedding == alone.data[0].embedding


def test_images_made_and_edited_whole_and_as_events(client: openai.OpenAI) -> None:
    made = client.images.generate(model="sandbox/paint", prompt="a square", size="64x64")
    assert made.data is not None
    assert made.usage is not None
    assert made.usage.total_tokens > 0
    image = made.data[0].b64_json
    assert image
    png = io.BytesIO(base64.b64decode(image))
    png.name = "a.png"
    edited = client.images.edit(model="sandbox/paint", prompt="rounder", image=png, size="64x64")
    assert edited.data is not None
    assert edited.data[0].b64_json
    events = client.images.generate(
        model="sandbox/paint", prompt="a square", size="64x64", stream=True, partial_images=2
    )
    kinds = [event.type for event in events]
    assert kinds == ["image_generation.partial_image"] * 2 + ["image_generation.completed"]


def test_what_is_said_is_what_is_heard(client: openai.OpenAI) -> None:
    said = "the quick brown fox"
    with client.audio.speech.with_streaming_response.create(
        model="sandbox/speak", voice="alloy", input=said, response_format="wav"
    ) as streamed:
        assert streamed.headers["content-type"] == "audio/wav"
        sound = b"".join(streamed.iter_bytes())
    assert sound[:4] == b"RIFF"
    assert (
        client.audio.speech.create(model="sandbox/speak", voice="alloy", input=said, response_format="wav").read()
        == sound
    )
    heard = client.audio.transcriptions.create(model="sandbox/transcribe", file=("a.wav", sound))
    assert heard.text == said
    text = client.audio.transcriptions.create(model="sandbox/transcribe", file=("a.wav", sound), response_format="text")
    assert str(text).strip() == said
    events = list(client.audio.transcriptions.create(model="sandbox/transcribe", file=("a.wav", sound), stream=True))
    assert events[-1].type == "transcript.text.done"
    assert "".join(event.delta for event in events if event.type == "transcript.text.delta") == said
    with pytest.deprecated_call():  # the vendor's word about its own model; others have newer ones
        translated = client.audio.translations.create(model="sandbox/transcribe", file=("a.wav", sound))
    assert translated.text


def test_moderations(client: openai.OpenAI) -> None:
    flagged = client.moderations.create(model="sandbox/moderate", input=["[[flag=violence]]", "kind words"])
    assert [result.flagged for result in flagged.results] == [True, False]
    assert flagged.results[0].categories.violence


@pytest.mark.parametrize("path", ["/v1/rerank", "/v2/rerank"])
def test_rerank(gateway: Gateway, path: str) -> None:
    body = json.dumps(
        {"model": "sandbox/rerank", "query": "red apples", "documents": ["blue sky", "red apple"], "top_n": 1}
    ).encode()
    headers = [("content-type", "application/json"), ("content-length", str(len(body)))]
    with connected(gateway.url) as link:
        link.sendall(head("POST", path, [*headers, ("authorization", f"Bearer {gateway.key}")]) + body)
        reply = read_reply(link)
    assert reply.status == 200
    assert [result["index"] for result in reply.json()["results"]] == [1]
    assert reply.header("x-trunkline-provider") == "sandbox"


def test_refusals_are_openais(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as unsupported:
        client.embeddings.create(model="sandbox-messages/echo", input="x")
    assert unsupported.value.code == "unsupported_endpoint"
    with pytest.raises(openai.NotFoundError) as unknown:
        client.images.generate(model="sandbox/nothing", prompt="x")
    assert unknown.value.code == "model_not_found"
    with pytest.raises(openai.AuthenticationError):
        client.with_options(api_key="sk-nobody").moderations.create(input="x", model="sandbox/moderate")
    with pytest.raises(openai.BadRequestError) as wrong:
        client.embeddings.create(model="sandbox/embed", input=[])
    assert wrong.value.param == "input"


# A provider that takes uploads.


class SlowProvider:
    """Takes one request at a time: `slowly` of its body until `hurry` is set, and answers with what it got."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/v1"
        self.hurry = threading.Event()
        self.taken = 0
        self.ended = threading.Event()
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                link, _ = self._listener.accept()
            except OSError:
                return
            self.taken = 0
            try:
                self._answer(link)
            except OSError:
                pass
            finally:
                link.close()
                self.ended.set()

    def _answer(self, link: socket.socket) -> None:
        tail = b""
        while not tail.endswith(b"\r\n0\r\n\r\n"):
            if not self.hurry.is_set():
                self.hurry.wait(0.02)
            data = link.recv(MIB if self.hurry.is_set() else 65_536)
            if not data:
                return
            self.taken += len(data)
            tail = (tail + data)[-7:]
        body = json.dumps({"text": str(self.taken)}).encode()
        link.sendall(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body))
        link.sendall(body)


@pytest.fixture(scope="module")
def provider() -> Iterator[SlowProvider]:
    found = SlowProvider()
    yield found
    found.close()


@pytest.fixture(scope="module")
def uploading(provider: SlowProvider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    settings = (
        f'[providers.slow]\nkind = "openai"\nbase_url = "{provider.url}"\napi_key = "k"\n'
        "[uploads]\nput_aside_bytes = 3000000\n"
    )
    with serving(tmp_path_factory.mktemp("uploads"), settings) as found:
        yield found


def form_head(gateway: Gateway, length: int) -> bytes:
    return head(
        "POST",
        "/v1/audio/transcriptions",
        [
            ("content-type", f"multipart/form-data; boundary={BOUNDARY}"),
            ("content-length", str(length)),
            ("authorization", f"Bearer {gateway.key}"),
        ],
    )


FIELD = f'--{BOUNDARY}\r\ncontent-disposition: form-data; name="model"\r\n\r\nslow/whisper\r\n'.encode()
FILE = f'--{BOUNDARY}\r\ncontent-disposition: form-data; name="file"; filename="a"\r\n\r\n'.encode()
END = f"\r\n--{BOUNDARY}--\r\n".encode()


def test_a_large_upload_is_never_held(uploading: Gateway, provider: SlowProvider) -> None:
    process = Process(uploading.process.pid)
    provider.hurry.clear()
    piece = random.Random(1).randbytes(MIB)
    length = len(FIELD) + len(FILE) + UPLOAD_BYTES + len(END)
    with connected(uploading.url) as link:
        link.sendall(form_head(uploading, length) + FIELD + FILE + piece)
        before = process.rss_bytes()
        most = 0
        started = time.monotonic()
        link.settimeout(60)
        for number in range(1, UPLOAD_BYTES // MIB):
            if number == 8:
                # The provider takes 3 MB a second: what it has not taken waits at the caller's.
                assert provider.taken < 8 * MIB
            if number == 16:
                provider.hurry.set()
            link.sendall(piece)
            most = max(most, process.rss_bytes())
        link.sendall(END)
        reply = read_reply(link)
        took = time.monotonic() - started
    assert reply.status == 200
    assert int(reply.json()["text"]) > UPLOAD_BYTES
    assert most - before < 24 * MIB, f"{(most - before) / MIB:.0f} MiB more"
    assert took < 60


def test_a_caller_who_leaves_in_the_middle_of_an_upload_takes_it_along(
    uploading: Gateway, provider: SlowProvider
) -> None:
    provider.hurry.set()
    provider.ended.clear()
    process = Process(uploading.process.pid)
    before = process.files()
    with connected(uploading.url) as link:
        link.sendall(form_head(uploading, UPLOAD_BYTES) + FIELD + FILE + bytes(4 * MIB))
        eventually(lambda: provider.taken > MIB, 5)
        assert not provider.ended.is_set()
    assert provider.ended.wait(2)
    eventually(lambda: process.files() <= before, 2)


def test_too_large_a_file_before_its_model_is_refused_while_it_comes(uploading: Gateway) -> None:
    with connected(uploading.url) as link:
        link.sendall(form_head(uploading, 50 * MIB) + FILE)
        for _ in range(50):
            link.sendall(bytes(MIB))
        reply = read_reply(link)
    assert reply.status == 413
    assert reply.error()["param"] == "model"
    assert reply.header("connection") == "close"
