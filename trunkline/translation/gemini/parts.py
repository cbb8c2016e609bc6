"""Turns written as contents, for a provider.

Results of one step's calls are one content, in the order of the calls; what the user says beside them is the next, as
a content of results may hold nothing else. Turns of one role that follow each other are one content.
"""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import msgspec
from msgspec import Raw

from trunkline.translation.exchange import (
    Media,
    Opaque,
    Part,
    Reasoning,
    Refusal,
    Request,
    Text,
    ToolCall,
    ToolResult,
    Turn,
)
from trunkline.translation.gemini import state
from trunkline.translation.gemini.contents import OUTPUT_KEYS
from trunkline.translation.gemini.vocabulary import (
    PROTOCOL,
    is_late,
    media_type_in,
    media_type_of,
    mended,
    takes_call_ids,
)
from trunkline.translation.losses import Losses
from trunkline.translation.target import Target
from trunkline.wire import codec
from trunkline.wire.codec import Fields

Written = dict[str, Any] | Raw

_USUAL = {"image": "image/jpeg", "document": "application/pdf", "audio": "audio/mpeg", "video": "video/mp4"}

_decode_object = msgspec.json.Decoder(Fields).decode


class Contents:
    """Writes the conversation of one request: `system` are the parts of its instruction, `list` its contents."""

    def __init__(self, request: Request, target: Target, losses: Losses, own: Fields) -> None:
        self._target = target
        self._losses = losses
        self._own = own
        self._late = is_late(target)
        self._ids = takes_call_ids(target)
        self._media = 0
        self._calls: dict[str, ToolCall] = {}
        self._order: dict[str, int] = {}
        self._kept: dict[str, Fields] = {}
        self.system: list[Written] = []
        self.list: list[dict[str, Any]] = []
        for turn in request.turns:
            self._turn(turn)
        if self._late:
            _sign(self.list)

    def _turn(self, turn: Turn) -> None:
        if turn.name is not None:
            self._losses.dropped("turns.name")
        if turn.role in ("system", "developer"):
            parts = self._said(turn.parts)
            if parts and self.list:
                self._losses.changed("turns", "instructions inside the conversation are sent in front of it")
            self.system += parts
        elif turn.role == "assistant":
            self._say("model", self._said(turn.parts))
            for part in turn.parts:
                if isinstance(part, ToolCall):
                    self._calls[part.id] = part
                    self._order[part.id] = len(self._order)
        else:
            self._user(turn)

    def _say(self, role: str, parts: list[Written]) -> None:
        """A content of results takes in nothing else."""
        if not parts:
            return
        before = self.list[-1] if self.list else None
        if before is not None and before["role"] == role and _is_result(before["parts"][0]) == _is_result(parts[0]):
            before["parts"] += parts
        else:
            self.list.append({"role": role, "parts": parts})

    def _user(self, turn: Turn) -> None:
        results = [part for part in turn.parts if isinstance(part, ToolResult)]
        beside: list[Written] = []
        if results:
            self._answer([self._result(result, beside) for result in results])
        self._say("user", beside)
        self._say("user", self._said([part for part in turn.parts if not isinstance(part, ToolResult)]))

    def _answer(self, results: list[Written]) -> None:
        """Right behind the calls, whatever the user said between."""
        at = len(self.list)
        while self.list[at - 1]["role"] != "model":
            at -= 1
        if at == len(self.list) or not _is_result(self.list[at]["parts"][0]):
            self.list.insert(at, {"role": "user", "parts": []})
        self.list[at]["parts"] += results
        self.list[at]["parts"].sort(key=self._place)

    def _place(self, written: Written) -> int:
        assert isinstance(written, _WithPlace), "only results are sorted"
        return written.place

    def _said(self, parts: list[Part]) -> list[Written]:
        written: list[Written] = []
        for part in parts:
            self._part(part, written)
        return written

    def _part(self, part: Part, written: list[Written]) -> None:
        if isinstance(part, Text | Media) and part.cache is not None:
            self._losses.dropped("cache")
        if isinstance(part, Text):
            self._text(part, written)
        elif isinstance(part, Refusal):
            if part.text:
                written.append({"text": part.text})
        elif isinstance(part, Media):
            written.append(self._shown(part))
        elif isinstance(part, ToolCall):
            written.append(self._call(part))
        elif isinstance(part, Reasoning):
            self._reasoning(part, written)
        elif isinstance(part, Opaque):
            if part.protocol == PROTOCOL:
                written.append(part.raw)
            else:
                self._losses.dropped(part.kind or "turns")

    def _text(self, text: Text, written: list[Written]) -> None:
        """Empty text is left out: it says nothing, and Vertex AI refuses it. A signature may stand on one."""
        if text.citations is not None:
            self._losses.dropped("citations")
        signature = self._signature(text)
        if signature is not None:
            written.append({"text": text.text, "thoughtSignature": signature})
        elif text.text:
            written.append({"text": text.text})

    def _signature(self, part: Text | ToolCall | Reasoning) -> str | None:
        """Only what the provider made goes back to it, byte for byte."""
        if part.state is None or part.state.origin != self._target.provider_id:
            return None
        return part.state.data

    def _reasoning(self, part: Reasoning, written: list[Written]) -> None:
        signature = self._signature(part)
        if signature is None:
            if part.text or part.summaries:
                self._losses.changed("reasoning", "the thinking of another provider is not sent")
        elif signature.startswith(state.OF_MEDIA):
            last = written[-1] if written else None
            if isinstance(last, dict) and ("inlineData" in last or "fileData" in last):
                last["thoughtSignature"] = signature.removeprefix(state.OF_MEDIA)
        else:
            written.append({"text": part.text, "thought": True, "thoughtSignature": signature})

    def _call(self, call: ToolCall) -> Written:
        made: dict[str, Any] = {"id": call.id} if self._ids else {}
        made["name"] = call.name
        made["args"] = {"input": call.arguments} if call.custom else self._arguments(call)
        if call.cache is not None:
            self._losses.dropped("cache")
        signature = self._signature(call)
        return {"functionCall": made} if signature is None else {"functionCall": made, "thoughtSignature": signature}

    def _arguments(self, call: ToolCall) -> Raw:
        """As the model wrote them, numbers digit for digit."""
        text = call.arguments
        if not text.strip():
            return Raw(b"{}")
        raw = Raw(self._whole(text).encode("utf-8", "replace"))
        try:
            _decode_object(raw)
        except codec.UNREADABLE:
            raise self._losses.refused(
                "tool_calls.arguments", f"must be a JSON object; those of '{call.name}' are not"
            ) from None
        return raw

    def _whole(self, text: str) -> str:
        whole = mended(text)
        if whole != text:
            self._losses.changed("tool_calls.arguments", "half a surrogate pair is sent as U+FFFD")
        return whole

    def _result(self, result: ToolResult, beside: list[Written]) -> Written:
        call = self._calls.get(result.call_id)
        if call is None:
            raise self._losses.refused("turns", f"has a tool's result for no call: '{result.call_id[:128]}'")
        if any(part.cache is not None for part in (result, *result.parts)):
            self._losses.dropped("cache")
        texts = [part.text for part in result.parts if isinstance(part, Text)]
        if len(texts) > 1:
            self._losses.changed("tool_result.parts", "texts of one result are sent as one, with line ends between")
        made: dict[str, Any] = {"id": call.id} if self._ids else {}
        made["name"] = call.name
        made["response"] = self._response("\n".join(texts), is_error=result.is_error)
        for name in ("willContinue", "scheduling"):
            raw = self._extra(f"functionResponse.{name}", call.id)
            if raw is not None:
                made[name] = raw
        self._result_media(result, made, beside)
        return _WithPlace({"functionResponse": made}, self._order[call.id])

    def _response(self, text: str, *, is_error: bool) -> Any:
        """What is an object goes as it is, but for one that would be taken for the form in which text goes."""
        if is_error:
            return {"error": text}
        if text.lstrip().startswith("{"):
            raw = Raw(self._whole(text).encode("utf-8", "replace"))
            try:
                fields = _decode_object(raw)
            except codec.UNREADABLE:
                pass
            else:
                if len(fields) != 1 or next(iter(fields)) not in OUTPUT_KEYS:
                    return raw
        return {"output": text}

    def _result_media(self, result: ToolResult, made: dict[str, Any], beside: list[Written]) -> None:
        """Inside of the result where the model takes it there: https://ai.google.dev/gemini-api/docs/function-calling"""
        for part in result.parts:
            if not isinstance(part, Media):
                continue
            written = self._shown(part)
            if self._late and "inlineData" in written:
                made.setdefault("parts", []).append(written)
            else:
                self._losses.changed("tool_result.media", "sent beside the tool's result, after it")
                beside += [{"text": f"What the call of {made['name']} returned:"}, written]

    def _extra(self, name: str, key: object) -> Raw | None:
        """What the reader of this protocol's requests kept (contents.Kept)."""
        if name not in self._own:
            return None
        if name not in self._kept:
            self._kept[name] = _decode_object(self._own[name])
        return self._kept[name].get(str(key))

    def _shown(self, media: Media) -> dict[str, Any]:
        number = self._media
        self._media += 1
        if media.detail not in (None, "auto"):
            self._losses.dropped("media.detail")
        if media.name is not None:
            self._losses.dropped("media.name")
        written = self._source(media)
        for name in ("videoMetadata", "mediaResolution", "mediaProcessing"):
            raw = self._extra(f"parts.{name}", number)
            if raw is not None:
                written[name] = raw
        return written

    def _source(self, media: Media) -> dict[str, Any]:
        if media.url is not None:
            # Vertex AI wants a type; where nothing tells it, the most usual one of the kind.
            media_type = media.media_type or media_type_of(media.url) or _USUAL[media.kind]
            return {"fileData": {"mimeType": media_type, "fileUri": media.url}}
        if media.data is not None:
            known = media.media_type or media_type_in(media.data)
            if known is None:
                raise self._losses.refused(f"media.{media.kind}", "needs its media type, such as image/png")
            return {"inlineData": {"mimeType": known, "data": media.data}}
        if media.text is not None and media.kind == "document":
            data = b64encode(media.text.encode("utf-8", "replace")).decode()
            return {"inlineData": {"mimeType": "text/plain", "data": data}}
        if media.text is not None:
            self._losses.changed(f"media.{media.kind}", "an earlier spoken answer is sent as its transcript")
            return {"text": media.text}
        raise self._losses.refused(
            "media.file_id", "names a file that another provider keeps; send the data, or a URL that Google can fetch"
        )


class _WithPlace(dict[str, Any]):
    """A result, and the number of its call in the conversation."""

    def __init__(self, written: dict[str, Any], place: int) -> None:
        super().__init__(written)
        self.place = place


def _is_result(part: Written) -> bool:
    return isinstance(part, _WithPlace)


def _sign(contents: list[dict[str, Any]]) -> None:
    """The first call of each step needs a signature; for one that another model made there is a value to say so."""
    for content in contents:
        if content["role"] != "model":
            continue
        first = next((part for part in content["parts"] if isinstance(part, dict) and "functionCall" in part), None)
        if first is not None:
            first.setdefault("thoughtSignature", state.SKIPPED)
