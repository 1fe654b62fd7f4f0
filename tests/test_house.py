"""The plan of the house: extras, import contracts, and what must never be committed."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = (
    "coach_edge",
    "converters",
    "device_tests",
    "edge_sdk",
    "feature_spec",
    "model_server",
    "quantization",
)

# Runs in a fresh interpreter in which every distribution that the base install does not bring is hidden.
HIDE_EXTRAS = """
import importlib.metadata as metadata, re, sys

def names(requirements):
    for text in requirements or ():
        if "extra ==" not in text:
            yield re.match(r"[A-Za-z0-9._-]+", text).group().lower().replace("_", "-")

base, queue = set(), list(names(metadata.requires("coach-edge")))
while queue:
    name = queue.pop()
    if name not in base:
        base.add(name)
        try:
            queue += names(metadata.requires(name))
        except metadata.PackageNotFoundError:
            pass  # for another platform
base.add("coach-edge")
hidden = {
    module
    for module, owners in metadata.packages_distributions().items()
    if not base & {owner.lower().replace("_", "-") for owner in owners}
}

class Hide:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in hidden:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return None

sys.meta_path.insert(0, Hide())
for name in list(sys.modules):
    if name.partition(".")[0] in hidden:
        del sys.modules[name]
"""


def without_extras(program: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", HIDE_EXTRAS + program],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=ROOT,
        check=False,
    )


def test_every_module_imports_without_any_extra() -> None:
    modules = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for package in PACKAGES
        for path in sorted((ROOT / package).rglob("*.py"))
        if "__main__" not in path.name
    ]
    assert len(modules) > 50
    found = without_extras(
        f"import importlib\nfor name in {modules!r}: importlib.import_module(name)\n"
        "print(sorted(set(sys.modules) & hidden))"
    )
    assert found.returncode == 0, found.stderr
    assert found.stdout.strip() == "[]"


def test_the_hiding_of_extras_works() -> None:
    found = without_extras("import tensorflow")
    assert found.returncode == 1
    assert "ModuleNotFoundError" in found.stderr


@pytest.mark.parametrize(
    ("extra", "arguments"),
    [
        ("convert", ["train", "goal-success", "--out", "model"]),
        ("server", ["serve", "--root", "root.json", "--keys", "keys"]),
    ],
)
def test_a_missing_extra_is_one_clear_line(extra: str, arguments: list[str], tmp_path: Path) -> None:
    found = without_extras(
        f"import os\nfrom coach_edge.cli import run\nos.chdir({str(tmp_path)!r})\nsys.exit(run({arguments!r}))"
    )
    assert found.returncode == 1, found.stderr
    assert found.stderr.count("\n") == 1
    assert f"pip install 'coach-edge[{extra}]'" in found.stderr
    assert list(tmp_path.iterdir()) == []


def lint_imports(where: Path) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=where, check=False)


def test_import_contracts_are_kept() -> None:
    found = lint_imports(ROOT)
    assert found.returncode == 0, found.stdout


def test_a_broken_import_contract_is_seen(tmp_path: Path) -> None:
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    (tmp_path / "edge_sdk" / "wrong.py").write_text("import converters.errors\n")
    found = lint_imports(tmp_path)
    assert found.returncode == 1
    assert "edge_sdk.wrong" in found.stdout


def tracked_files() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    return [ROOT / name for name in listed.decode().split("\0") if name]


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="not a git checkout")
def test_nothing_is_committed_that_must_not_be() -> None:
    # Written apart, so that this file does not match itself.
    registries = ["pypi" + ".org", "pythonhosted" + ".org", "registry.npmjs" + ".org", "extra-index" + "-url"]
    homes = ["wo" + "rk", "ro" + "ot", "ho" + "me", "Us" + "ers"]
    pattern = re.compile("|".join(map(re.escape, registries)) + rf"|(?<![\w.-])/(?:{'|'.join(homes)})/")
    private = re.compile("-----BEGIN [A-Z ]*PRIVATE" + " KEY-----")
    for path in tracked_files():
        if not path.is_file():
            continue
        assert path.stat().st_size < 1_500_000, path
        text = path.read_bytes().decode("utf-8", errors="replace")
        assert not pattern.search(text), (path, pattern.search(text))
        assert not private.search(text), path


def test_requirements_are_pinned_with_hashes() -> None:
    paths = sorted((ROOT / "requirements").glob("*.txt"))
    assert [path.name for path in paths] == ["all.txt", "base.txt", "bootstrap.txt", "old-phone.txt"]
    for path in paths:
        lines = path.read_text().splitlines()
        pinned = [line for line in lines if not line.startswith(" ")]
        assert pinned
        assert all(re.match(r"[a-z0-9-]+==[^ ]+( ;.*)? \\", line) for line in pinned), path
        assert all("--hash=sha256:" in line for line in lines if line.startswith(" "))


def test_declared_python_versions() -> None:
    project = (ROOT / "pyproject.toml").read_text()
    for version in ("3.11", "3.12", "3.13"):
        assert f"Python :: {version}" in project
    assert sys.version_info >= (3, 11)
