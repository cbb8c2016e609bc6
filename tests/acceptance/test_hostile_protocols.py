"""What hostile callers send to every route: refused in the caller's own envelope or served, cheaply, and nothing stays
hurt. tests/acceptance/test_hostile.py has the same for chat alone, and what lies below the routes."""

from __future__ import annotations

import gzip
import json
import re
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.acceptance.asking import ASK, Process, Reply, chat, eventually, get, send
from tests.acceptance.bodies import bodies
from tests.acceptance.conftest import Gateway, serving
from tests.acceptance.surfaces import (
    EVERY,
    FORWARDED,
    ONE_OF_EACH,
    SANDBOXES,
    Surface,
    conversation,
    family_of,
    post,
    refusal,
)

pytestmark = pytest.mark.acceptance

CPU_LIMIT_S = 0.2
PUBLIC = {"/healthz", "/readyz", "/metrics", "/openapi.json", "/llms.txt"}
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg=="


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with serving(tmp_path_factory.mktemp("hostile-protocols")) as found:
        for surface in EVERY.values():  # whatever is loaded by the first call is loaded
            assert post(found.url, found.key, surface.path, surface.body).status == 200
        yield found


@pytest.fixture(autouse=True)
def healthy_afterwards(gateway: Gateway) -> Iterator[None]:
    yield
    assert chat(gateway.url, gateway.key, ASK).status == 200
    log = gateway.log.read_text()
    assert '"defect"' not in log
    assert "Traceback" not in log
    assert gateway.key not in log


def routes(gateway: Gateway) -> list[tuple[str, str]]:
    """(method, path) of all that is documented, ids filled in; tests elsewhere hold that list to the router."""
    listed = get(gateway.url, "/openapi.json", ("x-api-key", gateway.key)).json()["paths"]
    filled = [
        (method.upper(), re.sub(r"\{[^}]*\}", "resp_1", path))
        for path, methods in listed.items()
        for method in methods
        if path not in PUBLIC
    ]
    calls = [("POST", f"/v1beta/models/sandbox/echo:{verb}") for verb in ("generateContent", "streamGenerateContent")]
    return [*filled, *calls, ("POST", "/v1beta/models/sandbox/echo:countTokens")]


def bare(gateway: Gateway, method: str, path: str, *headers: tuple[str, str | bytes]) -> Reply:
    return get(gateway.url, path, ("content-length", "0"), *headers, method=method)


# name: (headers, query), with the key as {key}
CARRIERS: dict[str, tuple[list[tuple[str, str]], str]] = {
    "none": ([], ""),
    "wrong": ([("authorization", "Bearer sk-tl-nobody")], ""),
    "empty": ([("authorization", "Bearer "), ("x-api-key", "")], ""),
    "basic": ([("authorization", "Basic {key}")], ""),
    "two different": ([("authorization", "Bearer {key}"), ("x-api-key", "sk-other")], ""),
    "one twice": ([("x-api-key", "{key}"), ("x-api-key", "{key}")], ""),
    "google's beside another": ([("x-goog-api-key", "{key}"), ("api-key", "sk-other")], ""),
    "in the address": ([], "?key={key}"),
    "in the address too": ([("x-api-key", "{key}")], "?access_token={key}"),
    "in a cookie": ([("cookie", "key={key}")], ""),
}


class TestKeys:
    @pytest.mark.parametrize("name", CARRIERS)
    def test_no_route_takes_a_caller_without_one_good_key(self, gateway: Gateway, name: str) -> None:
        headers, query = CARRIERS[name]
        filled = [(header, value.replace("{key}", gateway.key)) for header, value in headers]
        for method, path in routes(gateway):
            reply = bare(gateway, method, path + query.replace("{key}", gateway.key), *filled)
            assert reply.status == 401, (method, path, reply.status, reply.body[:200])
            refusal(reply, family_of(path))
            assert gateway.key not in repr(reply)

    @pytest.mark.parametrize("carrier", ["authorization", "x-api-key", "api-key", "x-goog-api-key"])
    def test_every_route_takes_every_carrier(self, gateway: Gateway, carrier: str) -> None:
        value = f"Bearer {gateway.key}" if carrier == "authorization" else gateway.key
        for surface in ONE_OF_EACH.values():
            assert post(gateway.url, None, surface.path, surface.body, (carrier, value)).status == 200, surface.path

    def test_a_key_for_some_models_is_for_those_on_every_route(self, gateway: Gateway) -> None:
        made = json.loads(
            gateway.command("keys", "create", "--json", "--models", "sandbox/story", "--models", "other/*")
        )
        for surface in ONE_OF_EACH.values():
            if surface.path == "/v1/conversations":
                continue
            reply = post(gateway.url, made["key"], surface.path, surface.body)
            assert reply.status == 403, (surface.path, reply.body[:200])
            refusal(reply, surface.family)
        allowed = conversation("sandbox", "story")
        assert {post(gateway.url, made["key"], one.path, one.body).status for one in allowed.values()} == {200}

    def test_a_revoked_key_is_over_on_every_route(self, gateway: Gateway) -> None:
        made = json.loads(gateway.command("keys", "create", "--json"))
        surfaces = list(ONE_OF_EACH.values())
        assert {post(gateway.url, made["key"], one.path, one.body).status for one in surfaces} == {200}
        gateway.command("keys", "revoke", made["id"])
        eventually(lambda: chat(gateway.url, made["key"], ASK).status == 401, 2)
        for surface in surfaces:
            reply = post(gateway.url, made["key"], surface.path, surface.body)
            assert reply.status == 401, surface.path
            refusal(reply, surface.family)

    def test_another_accounts_ids_are_unknown(self, gateway: Gateway) -> None:
        """Every way to name what the first account has stored."""
        account = json.loads(gateway.command("accounts", "create", "--name", "strangers", "--json"))
        stranger = json.loads(gateway.command("keys", "create", "--account", account["id"], "--json"))["key"]
        made = post(gateway.url, gateway.key, "/v1/responses", {"model": "sandbox/echo", "input": "CANARY-1"}).json()
        talk = post(gateway.url, gateway.key, "/v1/conversations", {"items": [
            {"type": "message", "role": "user", "content": "CANARY-2"}]}).json()  # fmt: skip
        item = get(gateway.url, f"/v1/conversations/{talk['id']}/items", ("x-api-key", gateway.key)).json()["data"][0]
        asks: list[tuple[str, str]] = [
            ("GET", f"/v1/responses/{made['id']}"),
            ("GET", f"/v1/responses/{made['id']}?stream=true"),
            ("GET", f"/v1/responses/{made['id']}/input_items"),
            ("POST", f"/v1/responses/{made['id']}/cancel"),
            ("GET", f"/v1/conversations/{talk['id']}"),
            ("GET", f"/v1/conversations/{talk['id']}/items"),
            ("GET", f"/v1/conversations/{talk['id']}/items/{item['id']}"),
            ("DELETE", f"/v1/conversations/{talk['id']}/items/{item['id']}"),
            ("DELETE", f"/v1/conversations/{talk['id']}"),
            ("DELETE", f"/v1/responses/{made['id']}"),
        ]
        for method, path in asks:
            reply = bare(gateway, method, path, ("x-api-key", stranger))
            assert reply.status == 404, (method, path, reply.body)
            assert b"CANARY" not in reply.body
        ask = {"model": "sandbox/echo", "input": "x"}
        for more in ({"previous_response_id": made["id"]}, {"conversation": talk["id"]},
                     {"input": [{"type": "item_reference", "id": item["id"]}]}):  # fmt: skip
            reply = post(gateway.url, stranger, "/v1/responses", {**ask, **more})
            assert reply.status in (400, 404), reply.body
            assert b"CANARY" not in reply.body
        for method, path in asks[:1] + asks[4:5]:
            assert bare(gateway, method, path, ("x-api-key", gateway.key)).status == 200


@pytest.mark.parametrize("name", EVERY)
def test_hostile_bodies_are_cheap_and_never_defects(gateway: Gateway, name: str) -> None:
    surface, process = EVERY[name], Process(gateway.process.pid)
    for kind, (body, statuses) in bodies(surface).items():
        before = process.cpu_s()
        reply = post(gateway.url, gateway.key, surface.path, body)
        assert process.cpu_s() - before < CPU_LIMIT_S, kind
        assert reply.status in statuses, (kind, reply.status, reply.body[:300])
        assert reply.header("x-injected") is None
        if reply.status != 200:
            refusal(reply, surface.family)


@pytest.mark.parametrize("name", ONE_OF_EACH)
def test_bodies_of_other_kinds(gateway: Gateway, name: str) -> None:
    surface = ONE_OF_EACH[name]
    data = json.dumps(surface.body).encode()
    kinds: list[tuple[bytes, list[tuple[str, str | bytes]], int]] = [
        (gzip.compress(data), [("content-encoding", "gzip")], 415),
        (gzip.compress(b" " * 10_000_000), [("content-encoding", "GZIP, identity")], 415),
        (data, [("content-type", "text/plain")], 415),
        (b"model=a", [("content-type", "application/x-www-form-urlencoded")], 415),
        (b"--" * 5000, [("content-type", "multipart/form-data; boundary=" + "-" * 5000)], 415),
        (data, [("content-type", "application/json; charset=utf-8"), ("content-encoding", "identity")], 200),
    ]
    for body, headers, status in kinds:
        reply = post(gateway.url, gateway.key, surface.path, body, *headers)
        assert reply.status == status, (headers, reply.body[:200])
        if status != 200:
            refusal(reply, surface.family)
    declared = (
        f"POST {surface.path} HTTP/1.1\r\nhost: a\r\nx-api-key: {gateway.key}\r\ncontent-length: 40000000\r\n\r\n"
    )
    reply = send(gateway.url, declared.encode())
    assert reply.status == 413
    refusal(reply, surface.family)


def test_a_million_of_anything_is_bounded(gateway: Gateway) -> None:
    """Bodies as large as are taken, of the smallest parts there are."""
    process = Process(gateway.process.pid)
    for surface in (*conversation("sandbox-messages").values(), *conversation("sandbox").values(), *FORWARDED.values()):
        small = json.dumps(surface.body).encode()[:-1]
        for body in (
            small + b"".join(b',"k%d":1' % number for number in range(1_000_000)) + b"}",
            small + b',"a":1' * 1_000_000 + b"}",
            small.replace(b'"hi"', b"[" + b"1," * 1_000_000 + b"1]") + b"}",
        ):
            before = process.cpu_s()
            reply = post(gateway.url, gateway.key, surface.path, body)
            assert process.cpu_s() - before < 1
            assert reply.status == 400, (surface.path, reply.body[:200])
            refusal(reply, surface.family)


def expecting(schema: Any, model: str) -> dict[str, Surface]:
    """One request each protocol that wants an answer of the schema."""
    asked = conversation(*model.split("/"))
    named = {"name": "answer", "schema": schema}
    more: dict[str, dict[str, Any]] = {
        "chat": {"response_format": {"type": "json_schema", "json_schema": named}},
        "messages": {"output_config": {"format": {"type": "json_schema", "schema": schema}}},
        "responses": {"text": {"format": {"type": "json_schema", **named}}},
        "gemini": {"generationConfig": {"responseMimeType": "application/json", "responseJsonSchema": schema}},
    }
    surfaces = {kind: asked[f"{kind} of {model}"] for kind in more}
    return {
        kind: Surface(surface.path, {**surface.body, **more[kind]}, surface.main, surface.model)
        for kind, surface in surfaces.items()
    }


def doubling(depth: int) -> dict[str, Any]:
    twice = {f"d{at}": {"allOf": [{"$ref": f"#/$defs/d{at + 1}"}] * 2} for at in range(depth)}
    return {"$defs": {**twice, f"d{depth}": {"type": "object"}}, "$ref": "#/$defs/d0"}


SCHEMAS: dict[str, Callable[[], Any]] = {
    "references that double": lambda: doubling(40),
    "a reference to itself": lambda: {"$ref": "#"},
    "a reference elsewhere": lambda: {"$ref": "http://127.0.0.1:1/schema", "$schema": "http://127.0.0.1:1/meta"},
    "a regular expression that explodes": lambda: {"type": "string", "pattern": "^(a+)+$"},
    "one that explodes without repeating": lambda: {"type": "string", "pattern": "a?" * 40 + "a" * 40},
    "names that explode": lambda: {"patternProperties": {"^(a+)+$": {}}, "additionalProperties": False},
    "many properties": lambda: {"type": "object", "properties": {f"p{n}": {"type": "string"} for n in range(30_000)}},
    "much that is required": lambda: {"properties": {f"p{n}": {} for n in range(4000)},
                                      "required": [f"q{n}" for n in range(4000)]},
    "long lists": lambda: {"allOf": [{"enum": list(range(30_000))}, {"enum": list(range(30_000, 60_000))}]},
    "a depth": lambda: json.loads('{"not":' * 400 + "{}" + "}" * 400),
    "no schema": lambda: {"type": {"a": 1}, "properties": 7},
    "a number": lambda: 7,
}  # fmt: skip


@pytest.mark.parametrize("name", SCHEMAS)
def test_hostile_schemas_hold_nobody_up(gateway: Gateway, name: str) -> None:
    """Both of models that keep to schemas and of those that the gateway keeps to them. The answer is the prompt."""
    schema, process = SCHEMAS[name](), Process(gateway.process.pid)
    for provider in SANDBOXES:
        for model in ("echo", "json"):
            for kind, surface in expecting(schema, f"{provider}/{model}").items():
                body = json.dumps(surface.body).replace('"hi"', json.dumps('"' + "a" * 40 + '!"')).encode()
                before = process.cpu_s()
                reply = post(gateway.url, gateway.key, surface.path, body)
                assert process.cpu_s() - before < 2 * CPU_LIMIT_S, (kind, provider, model)
                assert reply.status in (200, 400, 502), (kind, provider, model, reply.body[:300])
                if reply.status != 200:
                    refusal(reply, surface.family)
                assert reply.status != 502 or b"schema" in reply.body, reply.body


FORM = "XBOUNDARYX"


def part(name: bytes, value: bytes, more: bytes = b"") -> bytes:
    disposition = b'Content-Disposition: form-data; name="%b"' % name
    return b"--%b\r\n%b%b\r\n\r\n%b\r\n" % (FORM.encode(), disposition, more, value)


WITH_MODEL = part(b"model", b"sandbox/transcribe")
FILE = part(b"file", b"RIFF", b'; filename="a.wav"')
END = b"--" + FORM.encode() + b"--\r\n"
# name: (form, status)
FORMS: dict[str, tuple[Callable[[], bytes], int]] = {
    "a million parts": (lambda: WITH_MODEL + part(b"a", b"") * 300_000 + END, 400),
    "parts without names": (lambda: WITH_MODEL + b"--" + FORM.encode() + b"\r\n\r\n\r\n" + END, 400),
    "no end": (lambda: WITH_MODEL + FILE, 400),
    "nothing": (lambda: b"", 400),
    "the model twice": (lambda: WITH_MODEL * 2 + FILE + END, 400),
    "the model as a file": (lambda: part(b"model", b"x", b'; filename="x"') + END, 400),
    "the model in other letters": (lambda: part(b"Model", b"x") + FILE + END, 400),
    "a model of line breaks": (lambda: part(b"model", b"a\r\nx-injected: 1") + FILE + END, 404),
    "a long model": (lambda: part(b"model", b"m" * 10_000) + END, 400),
    "a long header": (lambda: part(b"file", b"", b'; filename="' + b"a" * 100_000 + b'"') + END, 400),
    "many headers": (lambda: part(b"file", b"", b"\r\nx: y" * 20_000) + END, 400),
    "a file name that breaks out": (
        lambda: WITH_MODEL + part(b"file", b"RIFF", b"; filename*=UTF-8''a%0d%0ax-injected:%201") + END, 400),
    "what is nearly a boundary": (
        lambda: WITH_MODEL + part(b"file", (b"\r\n--" + FORM[:-1].encode()) * 500_000, b'; filename="a"') + END, 400),
    "a long beginning": (lambda: b"x" * 1_000_000 + b"\r\n" + WITH_MODEL + FILE + END, 400),
    "the file before the model, too long": (lambda: part(b"file", b"R" * 27_000_000, b'; filename="a"') + END, 413),
}  # fmt: skip


@pytest.mark.parametrize("name", FORMS)
def test_hostile_forms(gateway: Gateway, name: str) -> None:
    form, status = FORMS[name]
    process, body = Process(gateway.process.pid), form()
    before = process.cpu_s()
    for path in ("/v1/audio/transcriptions", "/v1/audio/translations"):
        kind = ("content-type", f"multipart/form-data; boundary={FORM}")
        reply = post(gateway.url, gateway.key, path, body, kind)
        assert reply.status == status, reply.body[:300]
        refusal(reply, "openai")
        assert reply.header("x-injected") is None
    assert process.cpu_s() - before < 3 * CPU_LIMIT_S


PATHS = [
    "..%2f..%2fadmin%2fstatus:generateContent",
    "../../admin/status:generateContent",
    "%2e%2e/%2e%2e/admin/status:generateContent",
    "sandbox/echo%0d%0ax-injected:%201:generateContent",
    "sandbox/echo:generateContent%0d%0ax-injected:%201",
    "%00:generateContent",
    "%ff%fe:generateContent",
    "m" * 2000 + ":generateContent",
    ":generateContent",
    "sandbox/echo:generateContent/",
    "sandbox/echo:deleteEverything",
    "sandbox/echo:",
]


@pytest.mark.parametrize("path", PATHS, ids=range(len(PATHS)))
def test_a_path_of_googles_leads_nowhere_else(gateway: Gateway, path: str) -> None:
    for key in (gateway.key, gateway.admin_key):
        reply = post(gateway.url, key, f"/v1beta/models/{path}", {"contents": [{"parts": [{"text": "hi"}]}]})
        assert reply.status in (400, 404), reply.body
        refusal(reply, "google")
        assert reply.header("x-injected") is None


BREAKING = "f\r\nx-injected: 1\r\n\r\nHTTP/1.1 200 OK\u2028\x00é"


def test_what_a_caller_names_breaks_out_of_no_line(gateway: Gateway) -> None:
    """Names of tools, fields and ids come back in warnings, errors and events, and begin no line of their own there."""
    schema = {"type": "object", "properties": {BREAKING: {"type": "string"}}}
    more: dict[str, dict[str, Any]] = {
        "chat": {"tools": [{"type": "function", "function": {"name": BREAKING, "parameters": schema}}],
                 "stop": [BREAKING], BREAKING: 1, "user": BREAKING, "web_search_options": {BREAKING: 1}},
        "messages": {"tools": [{"name": BREAKING, "input_schema": schema}], BREAKING: {"a": BREAKING},
                     "metadata": {"user_id": BREAKING}, "service_tier": BREAKING},
        "responses": {"tools": [{"type": "function", "name": BREAKING, "parameters": schema, "strict": False},
                                {"type": BREAKING}], BREAKING: 1, "metadata": {"a": BREAKING}},
        "gemini": {"tools": [{"functionDeclarations": [{"name": BREAKING}]}, {BREAKING: {}}], BREAKING: 1,
                   "safetySettings": [{"category": BREAKING}], "labels": {BREAKING: BREAKING}},
    }  # fmt: skip
    for provider in SANDBOXES:
        asked = conversation(provider, "tools")
        for kind, fields in more.items():
            surface = asked[f"{kind} of {provider}/tools"]
            for chosen in ([name] for name in fields):
                for stream in (False, True):
                    body = {**surface.body, **{name: fields[name] for name in chosen}}
                    path = surface.path
                    if stream and kind == "gemini":
                        path = path.replace(":generate", ":streamGenerate") + "?alt=sse"
                    elif stream:
                        body["stream"] = True
                    # Written over several lines, as people do.
                    reply = post(gateway.url, gateway.key, path, json.dumps(body, indent=1).encode())
                    assert reply.status in (200, 400), reply.body
                    assert all(value.isprintable() and value.isascii() for _, value in reply.headers)
                    assert not {"x-injected"} & {name for name, _ in reply.headers}
                    if reply.status == 200 and stream:
                        lines = [line for line in reply.body.decode().split("\n") if line]
                        assert all(line.startswith(("data: ", "event: ", ": ")) for line in lines), lines
                        datas = [line[6:] for line in lines if line.startswith("data: ") and line != "data: [DONE]"]
                        assert all(json.loads(data) for data in datas)
                    elif reply.status != 200:
                        refusal(reply, surface.family)


def test_no_address_of_a_caller_is_ever_fetched(gateway: Gateway) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        came: list[Any] = []
        listener.settimeout(0.2)

        def listen() -> None:
            while not done.is_set():
                try:
                    came.append(listener.accept())
                except TimeoutError:
                    continue

        done = threading.Event()
        thread = threading.Thread(target=listen)
        thread.start()
        try:
            for host in (f"127.0.0.1:{listener.getsockname()[1]}", f"[::ffff:127.0.0.1]:{listener.getsockname()[1]}"):
                for name, surface, body in with_addresses(f"http://{host}/x.png"):
                    reply = post(gateway.url, gateway.key, surface.path, body)
                    assert reply.status in (200, 400) or b"keep to the schema" in reply.body, (name, reply.body[:300])
        finally:
            done.set()
            thread.join()
    assert not came


def with_addresses(url: str) -> Iterator[tuple[str, Surface, dict[str, Any]]]:
    text = {"type": "text", "text": "hi"}
    prompts: dict[str, Any] = {
        "chat": [{"role": "user", "content": [text, {"type": "image_url", "image_url": {"url": url}}]}],
        "messages": [{"role": "user", "content": [text, {"type": "image", "source": {"type": "url", "url": url}},
                                                  {"type": "document", "source": {"type": "url", "url": url}}]}],
        "responses": [{"role": "user", "content": [{"type": "input_image", "image_url": url},
                                                   {"type": "input_file", "file_url": url}]}],
        "gemini": [{"role": "user", "parts": [{"text": "hi"},
                                              {"fileData": {"mimeType": "image/png", "fileUri": url}}]}],
    }  # fmt: skip
    schema = {"$ref": url, "$schema": url, "type": "object"}
    for provider in SANDBOXES:
        for kind, prompt in prompts.items():
            for model in ("vision", "echo"):
                surface = conversation(provider, model)[f"{kind} of {provider}/{model}"]
                yield f"{kind} of {provider}", surface, {**surface.body, surface.main: prompt}
        for kind, surface in expecting(schema, f"{provider}/echo").items():
            yield f"schema in {kind} of {provider}", surface, surface.body
    images = ONE_OF_EACH["images"]
    yield "images", images, {**images.body, "image": url, "image_url": url}
    yield "moderations", ONE_OF_EACH["moderations"], {
        "model": "sandbox/moderate", "input": [{"type": "image_url", "image_url": {"url": url}}]}  # fmt: skip
