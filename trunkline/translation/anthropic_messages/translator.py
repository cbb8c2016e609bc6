"""What this room offers."""

from __future__ import annotations

from trunkline.translation.anthropic_messages import schemas
from trunkline.translation.anthropic_messages.answer import read_answer, write_answer
from trunkline.translation.anthropic_messages.losses import LOSSES
from trunkline.translation.anthropic_messages.request import read_request, write_request
from trunkline.translation.anthropic_messages.stream_reader import Reader
from trunkline.translation.anthropic_messages.stream_writer import Writer
from trunkline.translation.anthropic_messages.vocabulary import PROTOCOL
from trunkline.translation.translator import Translator

TRANSLATOR = Translator(
    protocol=PROTOCOL,
    read_request=read_request,
    write_request=write_request,
    read_answer=read_answer,
    write_answer=write_answer,
    reader=Reader,
    writer=Writer,
    takes_schema=lambda schema: schemas.native(schema) is not None,
    losses=LOSSES,
)
