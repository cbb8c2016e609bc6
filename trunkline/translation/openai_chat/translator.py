"""Chat Completions, as the rest of the house finds it."""

from __future__ import annotations

from trunkline.translation.openai_chat.answer import read_answer, write_answer
from trunkline.translation.openai_chat.losses import LOSSES
from trunkline.translation.openai_chat.reader import Reader
from trunkline.translation.openai_chat.request import read_request, write_request
from trunkline.translation.openai_chat.turns import PROTOCOL
from trunkline.translation.openai_chat.writer import Writer
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
