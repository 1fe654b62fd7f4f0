"""The pointer: what is written is read, and damage never passes for a state."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_tests.simulator.models import fake_model
from edge_sdk.contract.manifest import Artifact
from edge_sdk.errors import FormatError
from edge_sdk.store.state import TRUST_FILES, Slot, State
from edge_sdk.trust.marks import ROLES, Marks, RoleMark

INSTALL_ID = "00000000-0000-4000-8000-000000000000"
ONE, TWO = (fake_model(weight, release) for weight, release in ((0.1, 1), (0.2, 2)))


def artifact(sealed: Any) -> Artifact:
    return Artifact(sealed.entry.path, len(sealed.served), sealed.sha256, sealed.entry)


digests = st.integers(0, 2**256 - 1).map(lambda number: f"{number:064x}")
releases = st.integers(1, 2**53 - 1)
names = st.from_regex(r"[a-z0-9][a-z0-9-]{0,8}", fullmatch=True)
moments = st.integers(0, 10**9).map(lambda s: datetime(2000, 1, 1, tzinfo=UTC) + timedelta(seconds=s))
role_marks = st.builds(RoleMark, releases, st.lists(digests, max_size=3).map(tuple))
marks = st.builds(
    Marks,
    moments,
    st.fixed_dictionaries(dict.fromkeys(ROLES, role_marks)),
    st.dictionaries(st.tuples(names, names).map("/".join), releases, max_size=3),
)
slots = st.sampled_from([Slot(artifact(ONE)), Slot(artifact(TWO), artifact(ONE))])
states = st.builds(
    State,
    st.uuids(version=4).map(str),
    digests,
    st.integers(1, 2**53 - 1),
    st.one_of(st.just({}), st.fixed_dictionaries(dict.fromkeys(TRUST_FILES, digests))),
    st.one_of(st.just(Marks()), marks),
    st.one_of(st.just({}), st.fixed_dictionaries({"focus": slots})),
)


@given(states)
def test_round_trip(state: State) -> None:
    assert State.from_bytes(state.to_bytes()) == state
    assert State.from_bytes(state.to_bytes()).to_bytes() == state.to_bytes()


@given(states, st.data())
def test_a_changed_byte_is_seen(state: State, data: st.DataObject) -> None:
    honest = bytearray(state.to_bytes())
    place = data.draw(st.integers(0, len(honest) - 1))
    honest[place] ^= data.draw(st.integers(1, 255))
    with pytest.raises(FormatError):
        State.from_bytes(bytes(honest))


@pytest.mark.parametrize("cut", [0, 1, -1])
def test_a_torn_file_is_seen(cut: int) -> None:
    whole = State(INSTALL_ID, "0" * 64).to_bytes()
    with pytest.raises(FormatError):
        State.from_bytes(whole[:cut])


def test_a_later_format_is_not_guessed_at() -> None:
    top = json.loads(State(INSTALL_ID, "0" * 64).to_bytes())
    top["format"] = "coach-edge/cache/2"
    with pytest.raises(FormatError, match="coach-edge/cache/2"):
        State.from_bytes(json.dumps(top).encode())


@pytest.mark.parametrize(
    "wrong",
    [
        {"install_id": "me"},
        {"pinned_root": "short"},
        {"generation": 0},
        {"trust": {"root.json": "0" * 64}},
        {"models": {"other": Slot(artifact(ONE))}},
    ],
)
def test_valid_by_construction(wrong: dict[str, Any]) -> None:
    with pytest.raises(FormatError):
        State(**{"install_id": INSTALL_ID, "pinned_root": "0" * 64, **wrong})


class TestInstalling:
    def test_the_active_one_becomes_the_previous(self) -> None:
        state = State(INSTALL_ID, "0" * 64).installed(artifact(ONE)).installed(artifact(TWO))
        assert state.models["focus"] == Slot(artifact(TWO), artifact(ONE))
        assert state.marks.release("focus", "stable") == 2
        assert {ONE.sha256, TWO.sha256, "0" * 64} == state.blobs

    def test_the_same_bytes_again_keep_the_previous(self) -> None:
        """Else a release that names the bytes again would push out the only other ones."""
        state = State(INSTALL_ID, "0" * 64).installed(artifact(ONE)).installed(artifact(TWO))
        assert state.installed(artifact(TWO)).models["focus"].previous == artifact(ONE)
