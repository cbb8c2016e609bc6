"""OpenAI's Responses, as every room is offered."""

from __future__ import annotations

from trunkline.translation.openai_responses.answer import read_answer, write_answer
from trunkline.translation.openai_responses.asked import PROTOCOL
from trunkline.translation.openai_responses.losses import LOSSES
from trunkline.translation.openai_responses.request import read_request, write_request
from trunkline.translation.openai_responses.stream import Reader, Writer
from trunkline.translation.translator import Translator

TRANSLATOR = Translator(
    protocol=PROTOCOL,
    read_request=read_request,
    write_request=write_request,
    read_answer=read_answer,
    write_answer=write_answer,
    reader=Reader,
    writer=Writer,
    losses=LOSSES,
)
