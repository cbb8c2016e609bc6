"""What this room offers."""

from __future__ import annotations

from trunkline.translation.bedrock_converse.answer import read_answer, write_answer
from trunkline.translation.bedrock_converse.losses import LOSSES
from trunkline.translation.bedrock_converse.request import read_request, write_request
from trunkline.translation.bedrock_converse.stream_reader import Reader
from trunkline.translation.bedrock_converse.stream_writer import Writer
from trunkline.translation.bedrock_converse.vocabulary import PROTOCOL
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
