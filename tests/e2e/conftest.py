"""The real command line, in processes of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent.parent
BIN = Path(sys.executable).parent
Shell = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def shell() -> Shell:
    """Runs a script as a user would, with ``edge`` on the path."""

    def run(
        script: str, cwd: Path, seconds: int = 280, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        environ = {**os.environ, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}", **environment}
        return subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            cwd=cwd,
            env=environ,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )

    return run


@pytest.fixture(scope="session")
def demo(shell: Shell, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """The folder of a demo on the synthetic population, and what the demo printed."""
    folder = tmp_path_factory.mktemp("demo")
    done = shell("edge demo --json --workdir edge-demo", folder)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return folder, json.loads(done.stdout)
