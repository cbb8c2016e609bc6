"""`trunkline init`"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from trunkline.cli import output, reference
from trunkline.cli.store import Json
from trunkline.config import DEFAULT_FILE
from trunkline.errors import SettingsInvalid


def init(
    config: Annotated[Path, typer.Option("--config", metavar="FILE", help="Where to write.")] = Path(DEFAULT_FILE),
    json: Json = False,
) -> None:
    """Write a commented trunkline.toml. An existing file is left as it is."""
    with output.refusals():
        write(config)
    if json:
        output.say_json({"path": str(config.absolute())})
    else:
        output.note(f"{config} is written: every setting with its default, commented out.")


def write(path: Path) -> None:
    """For its owner alone, since keys may come to stand in it. Raises SettingsInvalid."""
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        raise SettingsInvalid(f"{path} exists and is left as it is; choose another with --config") from None
    except OSError as error:
        raise SettingsInvalid(f"{path} cannot be written: {error.strerror}") from None
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(reference.template())
