"""Every table there is: importing this declares them all."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Final

from sqlalchemy import MetaData

from trunkline.storage import schema

for _path in sorted(Path(schema.__file__).parent.glob("*schema.py")):
    importlib.import_module(f"trunkline.storage.{_path.stem}")

METADATA: Final[MetaData] = schema.metadata
