"""What this room offers."""

from __future__ import annotations

from trunkline.translation.gemini.answer import read_answer, write_answer
from trunkline.translation.gemini.losses import LOSSES
from trunkline.translation.gemini.reader import Reader
from trunkline.translation.gemini.request import read_request, write_request
from trunkline.translation.gemini.vocabulary import PROTOCOL
from trunkline.translation.gemini.writer import Writer
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
