"""What the README says, done: a page that drifts from the product fails here."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from edge_sdk.crypto.keyfiles import environment_variable
from tests.e2e.conftest import ROOT, Shell

README = (ROOT / "README.md").read_text()
KEYS = ("root-1", "root-2", "root-3", "targets-1", "snapshot", "timestamp", "director")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


def test_make_targets_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    named = set(re.findall(r"^make ([a-z-]+)", "\n".join(blocks("sh")), flags=re.MULTILINE))
    assert named == {"demo", "test"}
    assert named <= targets


def test_the_main_job_is_ten_lines() -> None:
    job = blocks("sh")[1].strip().splitlines()
    assert len(job) == 10
    assert sum(line.startswith("edge ") for line in job) == 8


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\(([^)#]+)\)", README))))
def test_links_lead_somewhere(link: str) -> None:
    assert link.startswith("https://") or (ROOT / link).exists()


@pytest.mark.e2e
@pytest.mark.loopback
def test_the_main_job(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "person.json").write_text(blocks("json")[0])
    phrases = {environment_variable(name): f"secret {name}" for name in KEYS}
    done = shell(blocks("sh")[1], tmp_path, **phrases)
    assert done.returncode == 0, done.stderr
    assert "probability" in done.stdout

    (python,) = blocks("python")
    (tmp_path / "example.py").write_text(python)
    done = shell("python example.py", tmp_path)
    assert done.returncode == 0, done.stderr
    probability, rest = done.stdout.split(" ", 1)
    assert 0 < float(probability) < 1
    assert re.fullmatch(r"\(.*\) \(.*\)\n", rest)
