"""What every test shares: which worker it runs on, and what it may need of the machine."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import hypothesis
import pytest

# A change is judged by what it changes: in CI the same examples every time, new ones on everybody's own machine. How
# long an example takes is no verdict: a machine may be busy.
hypothesis.settings.register_profile("here", deadline=None)
hypothesis.settings.register_profile("ci", derandomize=True, deadline=None)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "here")

SHARED_DATA = Path(__file__).parent.parent.parent / "shared" / "data"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep the heavy tests together, so that models are trained and converted once and not once a worker."""
    for item in items:
        for marker in ("e2e", "convert"):
            if item.get_closest_marker(marker):
                item.add_marker(pytest.mark.xdist_group(marker))
                break


@pytest.fixture(scope="session")
def tool() -> Callable[[str], str]:
    """The path of a program that pip does not bring: absent, one clear skip here and a failure in CI."""

    def find(name: str) -> str:
        path = shutil.which(name)
        if path is None:
            message = f"{name} is not installed; scripts/install-system brings it"
            pytest.fail(message) if os.environ.get("CI") else pytest.skip(message)
        return path

    return find


@pytest.fixture(scope="session")
def old_phone() -> Path:
    """The Python that has tflite-runtime: absent, one clear skip here and a failure in CI."""
    python = Path(sys.prefix) / "old-phone" / "bin" / "python"
    if not python.exists():
        message = "tflite-runtime is not installed; make old-phone brings it"
        pytest.fail(message) if os.environ.get("CI") else pytest.skip(message)
    return python


@pytest.fixture(scope="session")
def compilers() -> Path:
    """The folder of what npm brings to compile generated sources: absent, one clear skip here and a failure in CI."""
    folder = Path(sys.prefix) / "compilers" / "node_modules"
    if not folder.is_dir():
        message = "tsc and kotlinc are not installed; make compilers brings them"
        pytest.fail(message) if os.environ.get("CI") else pytest.skip(message)
    return folder


@pytest.fixture(scope="session")
def oulad() -> Path:
    """The folder of the real event log, which is not part of the project."""
    folder = SHARED_DATA / "oulad"
    if not folder.is_dir():
        pytest.skip("the shared OULAD files are not beside this checkout")
    return folder
