"""What is installed is the whole package: pages, static files and migrations too, and nothing else."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

from tests.house import tree

BUILD = "import sys; from flit_core import buildapi; print(buildapi.build_wheel(sys.argv[1]))"


def test_the_wheel_holds_the_package(tmp_path: Path) -> None:
    command = [sys.executable, "-c", BUILD, str(tmp_path)]
    done = subprocess.run(command, cwd=tree.ROOT, capture_output=True, text=True, timeout=60, check=True)
    packed = {Path(name) for name in ZipFile(tmp_path / done.stdout.strip()).namelist()}
    described = {path for path in packed if path.parts[0].endswith(".dist-info")}
    assert {path.name for path in described} >= {"METADATA", "LICENSE", "entry_points.txt"}
    assert packed - described == {path for path in tree.files() if path.parts[0] == "trunkline"}
