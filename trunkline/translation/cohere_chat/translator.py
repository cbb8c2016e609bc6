"""What this room offers. Callers do not speak this protocol."""

from __future__ import annotations

from trunkline.translation.cohere_chat.answer import read_answer
from trunkline.translation.cohere_chat.losses import LOSSES
from trunkline.translation.cohere_chat.reader import Reader
from trunkline.translation.cohere_chat.request import write_request
from trunkline.translation.cohere_chat.vocabulary import PROTOCOL
from trunkline.translation.translator import Translator

TRANSLATOR = Translator(
    protocol=PROTOCOL, write_request=write_request, read_answer=read_answer, reader=Reader, losses=LOSSES
)
