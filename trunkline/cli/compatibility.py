"""The page of what crosses between protocols, written from the rooms' tables of losses and the providers' rows.

`python -m trunkline.cli.compatibility docs/compatibility.md` writes the page anew; what stands beside it in
`compatibility-clients.md` is kept by hand and becomes its last part.
"""

from __future__ import annotations

import functools
import importlib
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final, get_args

from trunkline.catalog.families import FAMILIES, Family
from trunkline.catalog.provider_row import Endpoint, Protocol, Provider
from trunkline.catalog.providers import PROVIDERS
from trunkline.pipeline import protocols
from trunkline.pipeline.protocols import Named
from trunkline.translation.losses import How, Loss
from trunkline.translation.translator import Translator

PROTOCOLS: Final[tuple[str, ...]] = get_args(Protocol)
TITLES: Final = {
    "openai_chat": "Chat Completions",
    "openai_responses": "Responses",
    "anthropic_messages": "Messages",
    "gemini": "Gemini",
    "bedrock_converse": "Bedrock Converse",
    "cohere_chat": "Cohere",
    "ollama_chat": "Ollama",
}
CALLERS: Final = (protocols.CHAT, protocols.RESPONSES, protocols.MESSAGES, protocols.GEMINI)
# The least that each of them takes for a request.
LEAST: Final[Mapping[str, bytes]] = {
    "openai_chat": b'{"model":"m","messages":[{"role":"user","content":"?"}]}',
    "openai_responses": b'{"model":"m","input":"?"}',
    "anthropic_messages": b'{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"?"}]}',
    "gemini": b'{"contents":[{"parts":[{"text":"?"}]}]}',
}
THINKING: Final = {
    "effort": "an effort",
    "budget": "a number of tokens",
    "adaptive": "an effort; it decides itself how much",
    "always": "nothing: it always does",
    "never": "it does not",
    None: "",
}
HOWS: Final[Mapping[How, str]] = {
    "dropped": "It is not sent. The header `x-trunkline-warning` names it.",
    "clamped": "The nearest value that is allowed is sent, with a warning.",
    "changed": "It is said in another way; with a warning where that can make a difference to the answer.",
    "emulated": "The gateway sees to it where the model does not.",
    "refused": "400 `unsupported_parameter`, naming the field: without it the answer would not be what was asked for.",
}

OPENING: Final = """\
# Compatibility

Written by `python -m trunkline.cli.compatibility`; do not edit.

Callers speak four protocols, providers {spoken}, and every caller reaches every provider. Where both speak the same,
the caller's own body is passed on, with the model's name and the credential of the provider; else it is read into a
neutral form and written anew. What the other side has no word for is on this page, line by line: the tables are those
that the translation itself goes by.

- [Every pair](#every-pair)
- [What a request loses](#what-a-request-loses)
- [What an answer loses](#what-an-answer-loses)
- [What a model refuses](#what-a-model-refuses)
- [Providers](#providers), and the endpoints that are forwarded to them
- [Clients](#clients)
"""

PAIRS: Final = """
## Every pair

| Callers speak | {titles} |
|---|{dashes}
{rows}

A body that could be passed on is translated all the same when

- the answer is to fit a JSON schema and the model does not keep to one by itself: the gateway then asks in another way,
  checks the answer and, without a stream, has it repaired;
- it is one of Responses that has state: `store` is not false, or it goes on from a stored response or conversation,
  refers to an item, or runs in the background. The gateway keeps that state, for every provider.
"""

HOW_LOST: Final = """
## What a request loses

On its way to a provider of each protocol, unless it is passed on. With `[compat] strict = true` nothing is dropped,
clamped or changed with a warning: the request is refused instead.

| How | What happens |
|---|---|
{hows}

What stands under *What* is a name of the neutral form; a warning uses the caller's own. A `*` stands for any kind or
field. Where a caller's protocol has another name for it:

| What | {titles} |
|---|{dashes}
{names}
"""

ANSWERS: Final = """
## What an answer loses

On its way to a caller of each protocol, whoever gave it. Of the reasoning of a model only what the caller asked to see
is shown to him; what the provider wants back is kept for the next call, whether his client carries it or not, and goes
to that provider alone.
"""

MODELS: Final = """
## What a model refuses

Whatever the protocol: parameters that are dropped with a warning, and what the model is told where a caller asks for
reasoning, by the beginning of the model's name at the provider. The first line that fits counts.

| Models | At | Not sent | Told to reason by | Source |
|---|---|---|---|---|
{rows}
"""

ENDPOINTS: Final = """
## Providers

What each speaks, the one that is translated into first; and which endpoints beside the conversation are forwarded to
it as they are. A provider without an endpoint is a 400 that says so.

| Provider | Speaks | {endpoints} |
|---|---|{dashes}
{rows}
"""


@functools.cache
def room(protocol: str) -> Translator:
    found: Translator = importlib.import_module(f"trunkline.translation.{protocol}.translator").TRANSLATOR
    return found


def page(clients: str) -> str:
    """In Markdown. `clients` is the last part, whose own title becomes a section's."""
    spoken = "seven" if len(PROTOCOLS) == 7 else str(len(PROTOCOLS))
    parts = [OPENING.format(spoken=spoken), _pairs(), _how_lost()]
    parts += [_losses(protocol, "request") for protocol in PROTOCOLS]
    parts.append(ANSWERS)
    parts += [_losses(caller.name, "answer") for caller in CALLERS]
    parts += [_models(FAMILIES), _endpoints(PROVIDERS.values())]
    # Its headings are one level deeper here.
    return "".join([*parts, "\n", re.sub("^#", "##", clients, flags=re.MULTILINE)])


def _dashes(columns: int) -> str:
    return "---|" * columns


def _pairs() -> str:
    rows = [
        f"| {TITLES[caller.name]} | "
        + " | ".join("passed on" if caller.name == protocol else "translated" for protocol in PROTOCOLS)
        + " |"
        for caller in CALLERS
    ]
    titles = " | ".join(TITLES[protocol] for protocol in PROTOCOLS)
    return PAIRS.format(titles=titles, dashes=_dashes(len(PROTOCOLS)), rows="\n".join(rows))


def _how_lost() -> str:
    names = {caller.name: _names(caller) for caller in CALLERS}
    said = sorted({loss.name for protocol in PROTOCOLS for loss in room(protocol).losses})
    rows = []
    for name in said:
        theirs = [names[caller.name].get(name, name) for caller in CALLERS]
        if any(one != name for one in theirs):
            cells = " | ".join("" if one == name else f"`{one}`" for one in theirs)
            rows.append(f"| `{name}` | {cells} |")
    return HOW_LOST.format(
        hows="\n".join(f"| {how} | {what} |" for how, what in HOWS.items()),
        titles=" | ".join(TITLES[caller.name] for caller in CALLERS),
        dashes=_dashes(len(CALLERS)),
        names="\n".join(rows),
    )


def _names(caller: protocols.CallerProtocol) -> Mapping[str, str]:
    inbound = caller.read(LEAST[caller.name], Named("m", stream=False))
    return room(caller.name).read_request(inbound).names


def _losses(protocol: str, direction: str) -> str:
    lines = [loss for loss in room(protocol).losses if loss.direction == direction]
    if not lines:
        return ""
    side = "Of providers that speak" if direction == "request" else "To callers of"
    rows = "".join(f"| `{loss.name}` | {loss.how} | {_sentence(loss)} |\n" for loss in lines)
    return f"\n### {side} {TITLES[protocol]}\n\n| What | How | Why |\n|---|---|---|\n{rows}"


def _sentence(loss: Loss) -> str:
    """Some tables are of sentences, some of what would stand behind a colon."""
    why = loss.why.replace("|", "\\|")
    return why if why.endswith(".") else f"{why[0].upper()}{why[1:]}."


def _models(families: Iterable[Family]) -> str:
    rows = []
    for family in families:
        refused = [
            *family.drops,
            *(["max_tokens (sent as max_completion_tokens)"] if family.max_tokens_renamed else []),
        ]
        cells = (
            _listed(family.names) if any(family.names) else "all",
            ", ".join(family.providers),
            ", ".join(refused),
            THINKING[family.thinking],
            family.source.replace("|", "\\|"),
        )
        rows.append(f"| {' | '.join(cells)} |")
    return MODELS.format(rows="\n".join(rows))


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _endpoints(providers: Iterable[Provider]) -> str:
    rows = []
    listed = sorted(providers, key=lambda provider: provider.id)
    offered = [endpoint for endpoint in get_args(Endpoint) if any(endpoint in one.offers for one in listed)]
    for provider in listed:
        speaks = ", ".join(
            TITLES[face.protocol] + (f" ({_listed(face.only)})" if face.only else "") for face in provider.speaks
        )
        marks = " | ".join("yes" if endpoint in provider.offers else "" for endpoint in offered)
        rows.append(f"| `{provider.id}` | {speaks} | {marks} |")
    titles = " | ".join(endpoint.replace("_", " ") for endpoint in offered)
    return ENDPOINTS.format(endpoints=titles, dashes=_dashes(len(offered)), rows="\n".join(rows))


def write(path: Path) -> None:
    clients = path.with_name(f"{path.stem}-clients.md")
    path.write_text(page(clients.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
