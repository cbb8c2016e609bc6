"""Documents: links lead somewhere, snippets are programs, words are the ones in the glossary."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from tests.house import tree
from tests.house.snippets import Snippet, snippets_of

DOCUMENTS = tree.files(".md")
GUIDE = [path for path in DOCUMENTS if path.parts[:2] == ("docs", "guide")]
SNIPPETS = [snippet for path in GUIDE for snippet in snippets_of(path)]
LOCKS = tree.files(".lock")
NPM_LOCKS = tree.files("package-lock.json")
# Spelled in halves, or this file would be the first to break its own rule.
REGISTRIES = [
    left + right
    for left, right in [
        ("pypi", ".org"),
        ("files.python", "hosted.org"),
        ("registry.", "npmjs.org"),
        ("registry.", "yarnpkg.com"),
        ("deb.", "debian.org"),
        ("archive.", "ubuntu.com"),
        ("proxy.", "golang.org"),
        ("static.", "crates.io"),
    ]
]
MACHINE_PATHS = re.compile(r"(?<![\w.~-])/(?:work|home/\w+|Users/\w+|tmp/plan|mnt/\w+)/")
LINK = re.compile(r"(?<!!)\[[^\]]+\]\(([^)\s]+)\)")
# Words of programming, not of this project, and adjectives that a class ends in.
PLAIN_WORDS = {"options", "protocol", "list", "listed", "listing", "nearest", "available", "kind", "shape", "decoded"}


def anchors(path: Path) -> set[str]:
    headings = re.findall(r"^#+ +(.+)$", re.sub(r"```.*?```", "", tree.read(path), flags=re.DOTALL), re.MULTILINE)
    return {re.sub(r"[^\w\s-]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", DOCUMENTS, ids=str)
def test_links_lead_somewhere(path: Path) -> None:
    wrong = []
    for link in LINK.findall(re.sub(r"```.*?```", "", tree.read(path), flags=re.DOTALL)):
        if re.match(r"[a-z]+:", link):
            continue
        file, _, anchor = link.partition("#")
        target = (tree.ROOT / path.parent / file).resolve().relative_to(tree.ROOT) if file else path
        if not (tree.ROOT / target).exists() or (anchor and anchor not in anchors(target)):
            wrong.append(link)
    assert not wrong


def test_the_guide_is_complete() -> None:
    assert {path.stem for path in GUIDE} >= {
        "quickstart",
        "authentication",
        "streaming",
        "errors-and-retries",
        "models",
    }


@pytest.mark.parametrize("snippet", SNIPPETS, ids=str)
def test_snippets_are_well_formed(snippet: Snippet) -> None:
    if snippet.language == "python":
        ast.parse(snippet.text)
    elif snippet.language == "bash":
        _demand_accepted(["bash", "-n"], snippet.text)
    elif snippet.language == "javascript":
        if shutil.which("node") is None:
            pytest.skip("node is missing: apt-get install nodejs")
        _demand_accepted(["node", "--check", "--input-type=module", "-"], snippet.text)
    assert snippet.language in ("python", "bash", "javascript", "json", "toml", "text", "http"), "say the language"


def _demand_accepted(command: list[str], text: str) -> None:
    done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr


def test_programs_in_the_guide_run() -> None:
    """`make test` runs what is marked `run`; a program that is not run needs a reason in its fence."""
    idle = [
        str(snippet)
        for snippet in SNIPPETS
        if snippet.language in ("python", "bash", "javascript") and not snippet.runs and not snippet.reason
    ]
    assert not idle


@pytest.mark.parametrize("path", LOCKS, ids=str)
def test_locks_pin_by_hash_and_name_no_index(path: Path) -> None:
    text = tree.read(path)
    assert "://" not in text
    assert not re.search(r"^\s*-(?:i|-index-url|-extra-index-url|-find-links|f)\b", text, re.MULTILINE)
    entries = re.split(r"^(?=[a-zA-Z0-9])", re.sub(r"^\s*#.*\n", "", text, flags=re.MULTILINE), flags=re.MULTILINE)
    unpinned = [
        entry.split()[0] for entry in entries if entry.strip() and ("==" not in entry or "--hash=" not in entry)
    ]
    assert not unpinned


@pytest.mark.parametrize("path", NPM_LOCKS, ids=str)
def test_npm_locks_pin_by_hash_and_name_no_index(path: Path) -> None:
    packages = msgspec.json.decode(tree.read(path))["packages"]
    assert not [name for name, entry in packages.items() if "resolved" in entry]
    assert not [name for name, entry in packages.items() if name and "integrity" not in entry]


def test_there_are_locks() -> None:
    assert {path.name for path in LOCKS} >= {"requirements.lock", "requirements-dev.lock"}


def texts() -> list[tuple[Path, str]]:
    found = []
    for path in tree.files():
        try:
            found.append((path, tree.read(path)))
        except UnicodeDecodeError:
            continue
    return found


def test_no_file_names_a_package_registry() -> None:
    """Where packages come from is the business of whoever installs them."""
    wrong = [f"{path}: {name}" for path, text in texts() for name in REGISTRIES if name in text]
    assert not wrong


def test_no_file_holds_a_path_of_one_machine() -> None:
    wrong = [f"{path}: {found[0]}" for path, text in texts() if (found := MACHINE_PATHS.search(text))]
    assert not wrong


def glossary() -> set[str]:
    """The words that have a line of their own."""
    lines = re.findall(r"^- \*\*([^*]+)\*\*", tree.read(Path("docs/glossary.md")), re.MULTILINE)
    return {word.strip().lower() for line in lines for word in line.split(",")}


def test_rooms_are_in_the_glossary() -> None:
    rooms = {path.parts[1].removesuffix(".py") for path in tree.sources("trunkline")} - {"__init__"}
    assert not rooms - glossary()


def test_nouns_of_the_pure_floors_are_in_the_glossary() -> None:
    """The last word of each public class in catalog, routing, ports and policy, such as *deployment*."""
    missing = set()
    for path in tree.sources("trunkline"):
        if path.parts[1] not in ("catalog", "routing", "ports", "policy"):
            continue
        for node in ast.parse(tree.read(path)).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                noun = re.findall(r"[A-Z][a-z0-9]*", node.name)[-1].lower()
                if not {noun, noun.removesuffix("s"), noun.removesuffix("ies") + "y"} & (glossary() | PLAIN_WORDS):
                    missing.add(f"{noun} ({path}: {node.name})")
    assert not missing


def test_glossary_lines_are_one_line_in_order() -> None:
    text = tree.read(Path("docs/glossary.md"))
    words = re.findall(r"^- \*\*([^*]+)\*\*", text, re.MULTILINE)
    assert words == sorted(words, key=str.lower)
    assert len(words) == len({word.lower() for word in words})


def test_the_interpreter_is_one_that_is_promised() -> None:
    assert sys.version_info >= (3, 11)
