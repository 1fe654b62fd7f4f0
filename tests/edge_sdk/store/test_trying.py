"""Whose death is held against a bundle, where several processes try it out."""

from __future__ import annotations

import hashlib
import json
from contextlib import AbstractContextManager, suppress
from pathlib import Path

import pytest

from device_tests.simulator.models import fake_model
from edge_sdk.contract.manifest import Artifact
from edge_sdk.errors import FormatError, NotAvailable, VerificationError
from edge_sdk.store import Cache, Disk, State, System
from edge_sdk.store.trying import condemned, trying
from feature_spec.canonical import canonical_json

MODEL = fake_model(0.1, 1)
ARTIFACT = Artifact(MODEL.entry.path, len(MODEL.served), MODEL.sha256, MODEL.entry)


class Process(System):
    """One of several on the same cache."""

    living: set[str]

    def __init__(self, name: str, living: set[str]) -> None:
        self._name, self.living = name, living
        living.add(name)

    def owner(self) -> str:
        return self._name

    def is_alive(self, owner: str) -> bool:
        return owner in self.living


class Several:
    def __init__(self, folder: Path) -> None:
        self._folder, self._living = folder, set[str]()
        self._begun: list[AbstractContextManager[None]] = []
        Cache(folder, Disk()).disk.make_folder(folder / "states")
        first = self.cache("first")
        first._begin(State("0" * 8 + "-0000-4000-8000-" + "0" * 12, "0" * 64))

    def cache(self, name: str) -> Cache:
        return Cache(self._folder, Disk(Process(name, self._living)))

    def begin(self, name: str) -> AbstractContextManager[None]:
        """A trial that has not ended."""
        trial = trying(self.cache(name), ARTIFACT)
        trial.__enter__()
        self._begun.append(trial)
        return trial

    def die(self, *names: str) -> None:
        self._living.difference_update(names)

    @property
    def times(self) -> int:
        failure = self.cache("looking").state().failures.get(ARTIFACT.sha256)
        return failure.times if failure else 0

    @property
    def condemned(self) -> bool:
        return condemned(self.cache("looking"), ARTIFACT) is not None


@pytest.fixture
def several(tmp_path: Path) -> Several:
    return Several(tmp_path / "cache")


def test_those_at_it_together_count_once_and_the_next_death_is_final(several: Several) -> None:
    for name in ("a", "b", "c"):
        several.begin(name)
        assert (several.times, several.condemned) == (1, False)
    several.die("a", "b", "c")
    several.begin("d")
    assert several.times == 2
    assert not several.condemned, "it may succeed"
    several.die("d")
    assert several.condemned


def test_what_says_nothing_about_the_bundle_takes_back_its_own_trial_only(several: Several) -> None:
    several.begin("a")
    several.die("a")
    with suppress(NotAvailable), trying(several.cache("b"), ARTIFACT):
        assert several.times == 2
        raise NotAvailable("no engine")
    assert several.times == 1
    with suppress(NotAvailable), trying(several.cache("c"), ARTIFACT):
        with pytest.raises(VerificationError), trying(several.cache("d"), ARTIFACT):
            raise VerificationError("wrong")
        raise NotAvailable("no engine")
    assert (several.times, several.condemned) == (2, True), "what d found stays"


def test_a_number_that_was_given_to_another_process_hides_one_death_at_most(several: Several) -> None:
    several.begin("a")
    several.die("a")
    several.cache("a")  # another, of the same name
    several.begin("b")
    assert several.times == 1
    several.die("b")
    several.begin("c")
    several.die("c")
    assert several.condemned


def test_states_of_earlier_sdks_name_no_owner(several: Several) -> None:
    state = several.cache("first").state().trying(ARTIFACT)
    data = state.to_bytes()
    assert State.from_bytes(data).failures == state.failures
    top = json.loads(data)
    del top["body"]["failures"][0]["owner"]
    top["sha256"] = hashlib.sha256(canonical_json(top["body"])).hexdigest()
    assert State.from_bytes(canonical_json(top)).failures == state.failures
    top["body"]["failures"] = [[]]
    top["sha256"] = hashlib.sha256(canonical_json(top["body"])).hexdigest()
    with pytest.raises(FormatError):
        State.from_bytes(canonical_json(top))
