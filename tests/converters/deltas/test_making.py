"""Whatever changes between two bundles, the delta gives the new one, or there is none."""

from __future__ import annotations

import hashlib
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from converters.deltas import make_delta
from converters.deltas.alignment import stretches
from converters.deltas.making import operations
from converters.errors import GateError, UnsupportedError
from device_tests.simulator.models import fake_payload, sealed_model
from edge_sdk.contract import bundle, delta
from edge_sdk.contract.delta import ADD, COPY, Operation, Patch
from edge_sdk.contract.manifest import Artifact
from edge_sdk.crypto import deltas
from edge_sdk.crypto.data_key import DataKey
from edge_sdk.crypto.sealing import AppKey, BundleKey, Sealed
from edge_sdk.errors import EdgeError, InputError, VerificationError

APP = AppKey(bytes(range(32)))
NOISE = np.random.default_rng(0).bytes(60_000)


def payload(weight: float, weights: bytes = NOISE) -> bytes:
    """Long, and the fake engine reads it; the last digits count for nothing."""
    return fake_payload(weight) + b"".join(b"%d" % byte for byte in weights[:2_000])


def artifact(sealed: Sealed) -> Artifact:
    return Artifact(sealed.entry.path, len(sealed.served), sealed.sha256, sealed.entry)


def packed(payload: bytes, note: bytes = b"") -> bytes:
    return bundle.write({"bundle.json": hashlib.sha256(payload).digest() + note, "model.onnx": payload})


def round_trip(old: bytes, new: bytes) -> bytes:
    """The patch, which gives ``new``."""
    patch = delta.write(len(old), len(new), b"", operations(old, new))
    assert Patch.read(patch).apply(old) == new
    return patch


# -- alignment and operations


EDITS = st.lists(
    st.tuples(
        st.sampled_from(["change", "insert", "remove", "move"]), st.integers(0, 4_000), st.binary(max_size=80)
    ),
    max_size=6,
)


@settings(deadline=None, max_examples=200)
@given(start=st.integers(0, 50_000), size=st.integers(0, 4_000), edits=EDITS)
def test_random_edits(start: int, size: int, edits: list[tuple[str, int, bytes]]) -> None:
    old = NOISE[start : start + size]
    new = bytearray(old)
    for kind, at, data in edits:
        if kind == "change":
            new[at : at + len(data)] = data[: max(len(new) - at, 0)]
        elif kind == "insert":
            new[at:at] = data
        elif kind == "remove":
            del new[at : at + len(data)]
        else:
            new = new[at:] + new[:at]
    round_trip(packed(old), packed(bytes(new), b"note"))


@settings(deadline=None, max_examples=100)
@given(old=st.binary(max_size=300), new=st.binary(max_size=300))
def test_files_that_have_nothing_in_common(old: bytes, new: bytes) -> None:
    round_trip(packed(old), packed(new))


@settings(deadline=None, max_examples=100)
@given(
    st.lists(st.sampled_from([b"\0" * 40, b"abcdefgh" * 6, NOISE[:33], NOISE[33:70]]), max_size=20), st.data()
)
def test_what_repeats(parts: list[bytes], data: st.DataObject) -> None:
    shuffled = data.draw(st.permutations(parts))
    round_trip(packed(b"".join(parts)), packed(b"".join(shuffled)))


def test_stretches_cover_the_new_file_and_stay_within_the_old_one() -> None:
    old = np.frombuffer(NOISE[:9_000], np.uint8)
    new = np.concatenate([old[4_000:], old[:5_000], old[:10]])
    at = 0
    for stretch in stretches(old, new):
        assert stretch.start == at < stretch.stop
        at = stretch.stop
        if stretch.shift is not None:
            assert 0 <= stretch.start + stretch.shift <= stretch.stop + stretch.shift <= len(old)
    assert at == len(new)


def test_files_come_and_go() -> None:
    old = bundle.write({"a": NOISE[:3_000], "b": NOISE[3_000:6_000]})
    new = bundle.write({"b": NOISE[3_000:6_000], "c": NOISE[6_000:7_000]})
    assert len(round_trip(old, new)) < 1_400


def test_weights_that_all_changed_are_found_behind_a_header_that_grew() -> None:
    """Nothing in them is equal, so only what lies around says where they were."""
    rng = np.random.default_rng(2)
    weights = rng.normal(size=200_000).astype("<f2")
    tuned = (weights * (1 + rng.normal(size=len(weights)) * 2e-3)).astype("<f2")
    around = rng.bytes(400)
    old = packed(around + weights.tobytes() + around[::-1])
    new = packed(b"sixteen bytes..." + around + tuned.tobytes() + around[::-1])
    aligned, shifted = round_trip(old, packed(around + tuned.tobytes() + around[::-1])), round_trip(old, new)
    assert len(aligned) < 0.4 * len(old)
    assert len(shifted) < len(aligned) + 200


def test_few_changes_in_one_layer() -> None:
    rng = np.random.default_rng(3)
    weights = rng.normal(size=300_000).astype("<f4")
    tuned = weights.copy()
    tuned[50_000:60_000] *= np.float32(1.01)
    made = operations(packed(weights.tobytes()), packed(tuned.tobytes()))
    assert {step.code for step in made} == {COPY, 4, ADD}
    assert len(round_trip(packed(weights.tobytes()), packed(tuned.tobytes()))) < 0.05 * weights.nbytes


# -- sealed deltas


def pair(
    old_key: BundleKey | None = None, new_key: BundleKey | None = None, *, compress_old: bool = False
) -> tuple[Sealed, Sealed]:
    def made(weight: float, release: int, key: BundleKey | None, compress: bool) -> Sealed:
        return sealed_model(
            payload(weight),
            release=release,
            version=f"{release}.0.0",
            app_key=key if isinstance(key, AppKey) else None,
            data_key=key if isinstance(key, DataKey) else None,
            compress=compress,
        )

    return made(0.1, 1, old_key, compress_old), made(0.2, 2, new_key, False)


PLAIN_PAIR = pair()
PLAIN_DELTA = make_delta(*PLAIN_PAIR)
KEYS = {
    "none": (None, None),
    "app-key": (APP, APP),
    "device-key": (DataKey(bytes(32)), DataKey(bytes([1] * 32))),
}


@pytest.mark.parametrize("tier", KEYS)
def test_the_signed_bytes_are_made_again(tier: str) -> None:
    old_key, new_key = KEYS[tier]
    old, new = pair(old_key, new_key)
    made = make_delta(old, new, old_key, new_key)
    assert len(made) < 0.3 * len(new.served)
    again = deltas.rebuild_served(made, artifact(old), old.served, artifact(new), old_key, new_key)
    assert again == new.served


def test_an_old_bundle_may_be_deflated() -> None:
    old, new = pair(compress_old=True)
    assert old.entry.codec == "deflate"
    assert len(make_delta(old, new)) < 0.3 * len(new.served)


def test_there_is_nothing_in_clear_in_a_sealed_delta() -> None:
    old, new = pair(APP, APP)
    made = make_delta(old, new, APP, APP)
    assert delta.MAGIC not in made
    assert made[1:40] != new.served[1:40]
    assert b"bundle.json" not in made


@pytest.mark.parametrize("tier", ["app-key", "device-key"])
def test_a_changed_byte_anywhere_is_refused(tier: str) -> None:
    old_key, new_key = KEYS[tier]
    old, new = pair(old_key, new_key)
    made = make_delta(old, new, old_key, new_key)
    for at in {0, 1, 39, 40, len(made) // 2, len(made) - 1}:
        spoilt = bytearray(made)
        spoilt[at] ^= 1
        with pytest.raises(VerificationError):
            deltas.rebuild_served(bytes(spoilt), artifact(old), old.served, artifact(new), old_key, new_key)


@settings(deadline=None, max_examples=150)
@given(st.data())
def test_a_changed_delta_in_clear_makes_the_signed_bytes_or_is_refused(data: st.DataObject) -> None:
    old, new = PLAIN_PAIR
    made = bytearray(PLAIN_DELTA)
    made[data.draw(st.integers(0, len(made) - 1))] ^= data.draw(st.integers(1, 255))
    try:  # some bits of a deflate stream mean nothing
        again = deltas.rebuild_served(bytes(made), artifact(old), old.served, artifact(new), None, None)
    except VerificationError:
        return
    assert again == new.served


def test_a_delta_of_other_bundles_is_refused() -> None:
    old, new = pair(APP, APP)
    other, _ = pair(APP, APP)  # the same plain bytes, sealed again
    made = make_delta(old, new, APP, APP)
    with pytest.raises(VerificationError, match="does not open"):
        deltas.rebuild_served(made, artifact(other), other.served, artifact(new), APP, APP)
    again = replace(artifact(new), sha256="0" * 64)
    with pytest.raises(VerificationError, match="does not open"):
        deltas.rebuild_served(made, artifact(old), old.served, again, APP, APP)


def test_the_wrong_base_is_refused_in_clear_too() -> None:
    _, new = PLAIN_PAIR
    other = sealed_model(payload(0.1), version="1.0.0", stored=payload(0.1)[::-1], compress=False)
    with pytest.raises(VerificationError, match="what the delta makes is not the signed one"):
        deltas.rebuild_served(PLAIN_DELTA, artifact(other), other.served, artifact(new), None, None)


@pytest.mark.parametrize("tier", KEYS)
def test_other_plain_bytes_are_never_encrypted(tier: str) -> None:
    """A second plaintext under the publisher's nonces would give the key stream away to who sees both."""
    old_key, new_key = KEYS[tier]
    old, new = pair(old_key, new_key)
    before, after = (
        bytes(deltas.plain_of(each.served, each.entry, key)) for each, key in ((old, old_key), (new, new_key))
    )
    other = after[:-1] + b"!"
    header = deltas.header_of(new.served, new.entry)
    patch = delta.write(len(before), len(other), header, [Operation(ADD, len(other), 0, other)])
    made = deltas.seal(patch, artifact(old), artifact(new), new_key)
    with pytest.raises(VerificationError, match="what the delta makes is not the signed one"):
        deltas.rebuild(made, artifact(old), lambda: before, artifact(new), new_key)


def test_another_salt_is_refused() -> None:
    """It is the one thing in a delta that the plain digest does not cover."""
    old, new = pair(APP, APP)
    before, after = (bytes(deltas.plain_of(x.served, x.entry, APP)) for x in (old, new))
    header = bytearray(new.served[:40])
    header[5] ^= 1
    patch = delta.write(len(before), len(after), bytes(header), operations(before, after))
    made = deltas.seal(patch, artifact(old), artifact(new), APP)
    with pytest.raises(VerificationError, match="what the delta makes is not the signed one"):
        deltas.rebuild_served(made, artifact(old), old.served, artifact(new), APP, APP)


def test_other_lengths_than_the_signed_are_refused_before_memory_is_taken() -> None:
    old, new = PLAIN_PAIR
    huge = delta.write(old.entry.plain_length, 2**32 - 1, b"", [])
    with pytest.raises(VerificationError, match="for other bundles"):
        deltas.rebuild_served(huge, artifact(old), old.served, artifact(new), None, None)


def test_the_wrong_key() -> None:
    old, new = pair(APP, APP)
    made = make_delta(old, new, APP, APP)
    with pytest.raises(InputError, match="this key is"):
        deltas.rebuild_served(made, artifact(old), old.served, artifact(new), APP, AppKey(bytes(32)))


def test_memory_is_that_of_the_two_plain_bundles() -> None:
    weights = np.random.default_rng(4).bytes(8_000_000)
    tuned = weights[:5_000_000] + bytes(40) + weights[5_000_040:]
    old, new = (
        sealed_model(payload(0.1), stored=stored, version=version, app_key=APP)
        for stored, version in ((weights, "1.0.0"), (tuned, "2.0.0"))
    )
    made = make_delta(old, new, APP, APP)
    del weights, tuned
    tracemalloc.start()
    try:
        rebuilt = deltas.rebuild(
            made, artifact(old), lambda: deltas.plain_of(old.served, old.entry, APP), artifact(new), APP
        )
        digest = hashlib.sha256()
        for piece in rebuilt.served():
            digest.update(piece)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert digest.hexdigest() == new.sha256
    assert peak < 2.3 * len(new.served)


def test_a_deflated_bundle_has_no_delta() -> None:
    old, _ = pair()
    new = sealed_model(payload(0.2), release=2, version="2.0.0")
    with pytest.raises(UnsupportedError, match="codec deflate"):
        make_delta(old, new)


@pytest.mark.parametrize(("old_key", "new_key"), [(APP, None), (None, APP), (APP, AppKey(bytes(32)))])
def test_what_one_key_protects_is_not_told_under_another(
    old_key: AppKey | None, new_key: AppKey | None
) -> None:
    old, new = pair(old_key, new_key)
    with pytest.raises(UnsupportedError, match="same tier"):
        make_delta(old, new, old_key, new_key)


def test_the_same_bytes_have_no_delta() -> None:
    old, _ = pair()
    with pytest.raises(UnsupportedError, match="the same bytes"):
        make_delta(old, old)


def test_a_delta_that_does_not_pay_is_refused() -> None:
    old = sealed_model(payload(0.1), stored=NOISE)
    new = sealed_model(payload(0.1), stored=NOISE[::-1], version="2.0.0")
    with pytest.raises(GateError, match=r"more than 60%"):
        make_delta(old, new)


def test_a_delta_in_too_many_pieces_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("converters.deltas.making.MAX_OPERATIONS", 2)
    with pytest.raises(GateError, match="pieces, and a delta has at most 2"):
        make_delta(*pair())


def test_a_long_file_that_was_replaced_by_a_longer_one() -> None:
    """Nothing matches anywhere, so only how many bytes happen to be equal says which shift is better."""
    rng = np.random.default_rng(5)
    old = rng.normal(size=300_000).astype("<f2")
    tuned = (old * np.float16(1.001)).astype("<f2")
    new = np.concatenate([tuned[:200_000], rng.normal(size=5_000).astype("<f2"), tuned[200_000:]])
    patch = round_trip(packed(old.tobytes()), packed(new.tobytes()))
    assert len(patch) < 0.4 * new.nbytes


def test_the_errors_of_rebuilding_are_of_the_sdk() -> None:
    old, new = PLAIN_PAIR
    for rubbish in (b"", b"x", PLAIN_DELTA[:30], PLAIN_DELTA + b"x"):
        with pytest.raises(EdgeError):
            deltas.rebuild_served(rubbish, artifact(old), old.served, artifact(new), None, None)
