"""The console: a link opens it once, a session keeps it open, and what it shows is escaped."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import msgspec
import pytest

from tests.http.browser import Page, ask
from trunkline.console import pages
from trunkline.console.pages import ConsoleServices, console, duration, marked
from trunkline.errors import Unauthenticated
from trunkline.http.admin import AdminServices, ProviderStatus, Reloaded, Status, create_admin
from trunkline.http.asgi import Application, Scope
from trunkline.ports.admin import LINK_PATH
from trunkline.ports.keys import KeyRecord

HOSTILE = "<script>alert(1)</script>"
STATUS = Status(
    version="0.1.0",
    worker_pid=7,
    started_at=1_000.0,
    uptime_s=93_784,
    ready=True,
    draining=False,
    key_table_age_s=0.2,
    providers=(ProviderStatus(id="office-vllm", name="vLLM", origin="http://10.0.0.5:8000", models=2),),
    models=1_322,
    aliases={"fast": ("deepseek/deepseek-v3", "openai/gpt-4o-mini")},
)


class House:
    def __init__(self) -> None:
        self.links = {"once"}
        self.state = STATUS

    async def identify(self, scope: Scope) -> KeyRecord:
        raise Unauthenticated("No API key was sent.")

    async def reload(self) -> Reloaded:
        return Reloaded()

    def status(self) -> Status:
        return self.state

    async def redeem_link(self, token: str) -> bool:
        known = token in self.links
        self.links.discard(token)
        return known


@pytest.fixture
def house() -> House:
    return House()


@pytest.fixture
def gateway(house: House) -> Application:
    services = AdminServices(identify=house.identify, reload=house.reload, status=house.status)
    shown = ConsoleServices(status=house.status, redeem_link=house.redeem_link, session_secret=b"pepper")
    return create_admin(services, console(shown))


async def entered(gateway: Application) -> dict[str, str]:
    """The headers of someone inside."""
    page = await ask(gateway, "GET", f"{LINK_PATH}?token=once")
    return {"cookie": page.header(b"set-cookie").partition(";")[0]}


class Outline(HTMLParser):
    """What a page is made of; unbalanced elements are an error."""

    EMPTY = frozenset({"meta", "link", "img", "br", "input", "hr"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in self.EMPTY:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


async def every_page(gateway: Application) -> list[Page]:
    inside = await entered(gateway)
    return [
        await ask(gateway, "GET", "/console"),
        await ask(gateway, "GET", f"{LINK_PATH}?token=wrong"),
        await ask(gateway, "GET", "/console", inside),
        await ask(gateway, "GET", "/docs"),
    ]


async def test_a_link_opens_the_console_once(gateway: Application) -> None:
    first = await ask(gateway, "GET", f"{LINK_PATH}?token=once")
    assert (first.status, first.header(b"location")) == (303, "/console")
    second = await ask(gateway, "GET", f"{LINK_PATH}?token=once")
    assert second.status == 403
    assert b"set-cookie" not in dict(second.headers)
    assert "trunkline admin-link" in second.text


@pytest.mark.parametrize("query", ["", "?token=", "?token=wrong", "?token=wrong&token=once", "?other=once"])
async def test_other_links_open_nothing(gateway: Application, query: str) -> None:
    page = await ask(gateway, "GET", LINK_PATH + query)
    assert b"set-cookie" not in dict(page.headers)
    assert page.status in (303, 403)
    assert page.status == 403


async def test_without_a_session_the_console_says_how_to_get_in(gateway: Application) -> None:
    page = await ask(gateway, "GET", "/console")
    assert page.status == 200
    assert "trunkline admin-link" in page.text
    assert "office-vllm" not in page.text


async def test_inside_it_shows_what_is_served(gateway: Application) -> None:
    page = await ask(gateway, "GET", "/console", await entered(gateway))
    for fact in ("office-vllm", "http://10.0.0.5:8000", "1,322", "1 d 2 h", "0.2 s ago", "openai/gpt-4o-mini"):
        assert fact in page.text
    assert "Ready for calls" in page.text
    assert "curl http://gateway.test/v1/chat/completions" in page.text
    assert "trunkline keys create" in page.text


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"ready": False, "key_table_age_s": None}, "keys are not loaded yet"),
        ({"draining": True}, "Draining"),
        ({"aliases": {}}, "Make a key"),
    ],
)
async def test_it_tells_the_state(gateway: Application, house: House, changes: dict[str, object], words: str) -> None:
    house.state = msgspec.structs.replace(STATUS, **changes)
    assert words in (await ask(gateway, "GET", "/console", await entered(gateway))).text


async def test_the_sandbox_has_no_address(gateway: Application, house: House) -> None:
    sandbox = ProviderStatus(id="sandbox", name="Sandbox", origin="sandbox://sandbox", models=8)
    house.state = msgspec.structs.replace(STATUS, providers=(sandbox,))
    text = (await ask(gateway, "GET", "/console", await entered(gateway))).text
    assert "in this process" in text
    assert "sandbox://" not in text


async def test_names_from_outside_are_escaped(gateway: Application, house: House) -> None:
    provider = ProviderStatus(id=HOSTILE, name=HOSTILE, origin=HOSTILE, models=1)
    house.state = msgspec.structs.replace(STATUS, providers=(provider,), aliases={HOSTILE: (HOSTILE,)})
    page = await ask(gateway, "GET", "/console", await entered(gateway))
    assert "<script" not in page.text
    assert "&lt;script&gt;" in page.text


async def test_leaving_takes_the_cookie_away(gateway: Application) -> None:
    inside = await entered(gateway)
    page = await ask(gateway, "POST", "/console/leave", {**inside, "sec-fetch-site": "same-origin"})
    assert page.status == 303
    assert "Max-Age=0" in page.header(b"set-cookie")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"sec-fetch-site": "same-origin"}, 303),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"sec-fetch-site": "cross-site", "origin": "http://gateway.test"}, 403),
        ({"sec-fetch-site": "none"}, 403),
        ({"origin": "http://gateway.test"}, 303),
        ({"origin": "https://gateway.test"}, 403),
        ({"origin": "null"}, 403),
        ({}, 403),
    ],
)
async def test_other_sites_forms_change_nothing(gateway: Application, headers: dict[str, str], status: int) -> None:
    page = await ask(gateway, "POST", "/console/leave", headers)
    assert page.status == status
    assert (b"set-cookie" in dict(page.headers)) == (status == 303)


async def test_pages_load_nothing_from_elsewhere(gateway: Application) -> None:
    for page in await every_page(gateway):
        policy = page.header(b"content-security-policy")
        assert policy.startswith("default-src 'none'; style-src 'self';")
        assert "unsafe" not in policy
        assert page.header(b"referrer-policy") == "no-referrer"
        assert page.header(b"cache-control") == "no-store"
        outline = Outline(page.text)
        assert not outline.all("script")
        assert not outline.all("style")
        for _, attributes in outline.elements:
            assert "style" not in attributes
            for name in ("src", "href", "action"):
                assert re.match(r"[/#]", attributes.get(name) or "/")
                assert not (attributes.get(name) or "").startswith("//")


async def test_pages_can_be_used_without_eyes(gateway: Application) -> None:
    for page in await every_page(gateway):
        outline = Outline(page.text)
        assert outline.all("html")[0]["lang"] == "en"
        assert len(outline.all("h1")) == 1
        assert len(outline.all("main")) == 1
        assert all("alt" in image for image in outline.all("img"))
        assert all(head.get("scope") in ("col", "row") for head in outline.all("th"))
        ids = [attributes["id"] for _, attributes in outline.elements if "id" in attributes]
        assert len(ids) == len(set(ids))


async def test_static_files_are_served_and_used(gateway: Application) -> None:
    page = await ask(gateway, "GET", "/docs")
    linked = set(re.findall(r'"(/console/static/[^"]+)"', page.text))
    files = {f"/console/static/{path.name}" for path in Path(pages.HERE / "static").iterdir()}
    assert linked == files
    for path in linked:
        answer = await ask(gateway, "GET", path)
        assert answer.status == 200
        assert answer.header(b"x-content-type-options") == "nosniff"
        assert answer.header(b"content-type").partition(";")[0] in ("text/css", "image/svg+xml")


@pytest.mark.parametrize("name", ["nothing.css", "../session.py", "..%2Fsession.py", "%2e%2e/session.py", ""])
async def test_no_other_file_is_served(gateway: Application, name: str) -> None:
    assert (await ask(gateway, "GET", f"/console/static/{name}")).status in (401, 404)


async def test_the_page_of_operations_lists_all_of_the_document(gateway: Application) -> None:
    document = msgspec.json.decode((await ask(gateway, "GET", "/openapi.json")).body)
    text = (await ask(gateway, "GET", "/docs")).text
    for path in document["paths"]:
        assert f"<code>{path}</code>" in text
    for field in document["components"]["schemas"]["ChatCompletionRequest"]["properties"]:
        assert f"<code>{field}</code>" in text
    assert "0 to 2." in text


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (None, "never"),
        (-1.0, "0.0 s"),
        (0.24, "0.2 s"),
        (9.99, "10.0 s"),
        (10, "10 s"),
        (60, "1 min"),
        (75.9, "1 min 15 s"),
        (3_600, "1 h"),
        (90_061, "1 d 1 h"),
    ],
)
def test_duration(seconds: float | None, words: str) -> None:
    assert duration(seconds) == words


def test_marked_escapes_before_it_marks() -> None:
    assert marked("a `b` & `<c>`") == "a <code>b</code> &amp; <code>&lt;c&gt;</code>"
