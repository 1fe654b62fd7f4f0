"""Thousands of damaged bundles, loaded by the real engine: no answer is wrong, and no process ends."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from device_tests.faults import corruptions
from device_tests.faults.corruptions import ALL, DAMAGES, TARGETS, Target, damaged


@pytest.mark.sampled
@pytest.mark.parametrize(
    "count", [600, pytest.param(ALL, marks=[pytest.mark.slow, pytest.mark.timeout(1800)])]
)
def test_no_wrong_answer_and_no_death(count: int) -> None:
    damage = corruptions.run(count)
    assert damage.bad == []
    assert damage.total() == damage.total("refused", "stood in") >= count  # all of them were noticed
    for target in TARGETS:
        meant = "stood in" if target.stands_in else "refused"
        assert damage.outcomes[target.name, meant] == -(-count * target.share // 1000)


def test_every_damage_changes_something() -> None:
    for good in (bytes(5000), random.Random(1).randbytes(5000), bytes(3 << 20)):
        made = [damaged(good, number, "a test") for number in range(10 * len(DAMAGES))]
        assert len({kind for kind, _ in made}) == (len(DAMAGES) if any(good) else 6)
        assert all(data != good for _, data in made)
        assert made == [damaged(good, number, "a test") for number in range(10 * len(DAMAGES))]


def in_children(code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run this first in the processes that load."""
    (tmp_path / "sitecustomize.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)


def test_without_the_hash_check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: the same damage gives wrong answers then."""
    in_children(
        "from tests.device_tests.unchecked import without_hash_checks\nwithout_hash_checks(setattr)\n",
        tmp_path,
        monkeypatch,
    )
    damage = corruptions.run(60, targets=[Target("clear")])
    assert damage.total("wrong") >= 5
    assert damage.bad


@pytest.mark.sampled
@pytest.mark.parametrize("number", [0, 3, 7])
def test_a_death_is_counted_and_the_rest_goes_on(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_children(
        "import os, edge_sdk.runtime.litert as l\n"
        "load, done = l.LiteRT.load, []\n"
        "def deadly(*args):\n"
        f"    if os.environ.get('DIES') and len(done) == {number}: os.environ.pop('DIES'); os.kill(os.getpid(), 11)\n"
        "    done.append(1)\n"
        "    return load(*args)\n"
        "l.LiteRT.load = deadly\n",
        tmp_path,
        monkeypatch,
    )
    monkeypatch.setenv("DIES", "once")
    damage = corruptions.run(8, targets=[Target("encrypted", encrypted=True)])
    assert damage.total() == 8
    assert damage.total("death") >= 1
    assert damage.bad[0] == f"encrypted: death: signal 11, number {number}"
