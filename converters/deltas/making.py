"""From two bundles to the delta that leads from one to the other, if it pays."""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable, Iterator
from typing import Final

import numpy as np

from converters.deltas.alignment import stretches
from converters.errors import GateError, UnsupportedError
from edge_sdk.contract import bundle, delta
from edge_sdk.contract.delta import ADD, COPY, MAX_OPERATIONS, MAX_SHARE, WORDS, Operation
from edge_sdk.contract.manifest import Artifact
from edge_sdk.crypto import deltas
from edge_sdk.crypto.sealing import BundleKey, Sealed

_PIECE: Final = 1 << 18
"""Of what is compared as one: tensors of several types lie in one file."""
_LOCAL_HEADER: Final = 30


def make_delta(
    old: Sealed,
    new: Sealed,
    old_key: BundleKey | None = None,
    new_key: BundleKey | None = None,
    *,
    random: Callable[[int], bytes] = os.urandom,
) -> bytes:
    """The delta with which a device that has ``old`` makes the served bytes of ``new``; proven on
    both before it is returned.

    Args:
        old: what devices have.
        new: what they are to have.
        old_key: opens ``old``, where it is encrypted.
        new_key: opens ``new``.
        random: source of salt and nonces.

    Raises:
        UnsupportedError: there can be no delta between the two.
        GateError: it would not save enough.
        InputError, VerificationError: a bundle does not open.
    """
    base, wanted = _artifact(old), _artifact(new)
    if obstacle := deltas.obstacle(base, wanted):
        raise UnsupportedError(f"no delta from {base.path} to {wanted.path}: {obstacle}")
    before = bytes(deltas.plain_of(old.served, old.entry, old_key))
    after = bytes(deltas.plain_of(new.served, new.entry, new_key))
    header = deltas.header_of(new.served, new.entry)
    steps = operations(before, after)
    if len(steps) > MAX_OPERATIONS:
        raise GateError(
            f"no delta from {base.path} to {wanted.path}: what changed lies in {len(steps)} pieces, and a delta has at "
            f"most {MAX_OPERATIONS}; let devices fetch the bundle"
        )
    patch = delta.write(len(before), len(after), header, steps)
    made = deltas.seal(patch, base, wanted, new_key, random)
    if len(made) > MAX_SHARE * len(new.served):
        raise GateError(
            f"the delta from {base.path} to {wanted.path} has {len(made)} bytes, more than {MAX_SHARE:.0%} of the "
            f"{len(new.served)} of the bundle; let devices fetch the bundle"
        )
    deltas.rebuild_served(
        made, base, old.served, wanted, old_key, new_key
    )  # raises unless it gives the signed bytes
    return made


def operations(before: bytes, after: bytes) -> list[Operation]:
    """What makes one plain bundle from another, file by file."""
    olds = {name: (start, stop) for name, start, stop in _layout(before)}
    made: list[Operation] = []
    at = 0
    for name, start, stop in _layout(after):
        made += _added(after[at:start])
        old_start, old_stop = olds.get(name, (0, 0))
        made += _file(before[old_start:old_stop], after[start:stop], old_start)
        at = stop
    return _merged([*made, *_added(after[at:])])


def _artifact(sealed: Sealed) -> Artifact:
    return Artifact(sealed.entry.path, len(sealed.served), sealed.sha256, sealed.entry)


def _layout(plain: bytes) -> Iterator[tuple[str, int, int]]:
    """Where the content of each file of a bundle lies."""
    at = 0
    for name, data in bundle.read(plain).items():
        at += _LOCAL_HEADER + len(name)
        yield name, at, at + len(data)
        at += len(data)


def _file(old: bytes, new: bytes, base: int) -> Iterator[Operation]:
    """Operations that make ``new``, given that ``old`` lies at ``base`` of the old bundle."""
    for start, stop, shift in stretches(np.frombuffer(old, np.uint8), np.frombuffer(new, np.uint8)):
        for low in range(start, stop, _PIECE):
            high = min(low + _PIECE, stop)
            if shift is None:
                yield from _added(new[low:high])
                continue
            there = old[low + shift : high + shift]
            if there == new[low:high]:
                yield Operation(COPY, high - low, base + low + shift)
                continue
            whole = (high - low) // max(WORDS) * max(WORDS)
            if whole:
                yield _cheapest(there[:whole], new[low : low + whole], base + low + shift)
            yield from _added(new[low + whole : high])


def _cheapest(old: bytes, new: bytes, start: int) -> Operation:
    """The difference that deflates best, or the bytes themselves."""
    choices = [Operation(ADD, len(new), 0, new)]
    choices += [Operation(word, len(new), start, delta.difference(old, new, word)) for word in WORDS]
    return min(choices, key=lambda choice: len(zlib.compress(choice.data, 6)))


def _added(data: bytes) -> Iterator[Operation]:
    for start in range(0, len(data), delta.MAX_DATA):
        piece = data[start : start + delta.MAX_DATA]
        yield Operation(ADD, len(piece), 0, piece)


def _merged(made: list[Operation]) -> list[Operation]:
    """The same with neighbouring copies as one, and neighbouring additions."""
    merged: list[Operation] = []
    for step in made:
        last = merged[-1] if merged else None
        if last is not None and last.code == step.code == COPY and last.start + last.length == step.start:
            merged[-1] = Operation(COPY, last.length + step.length, last.start)
        elif (
            last is not None and last.code == step.code == ADD and last.length + step.length <= delta.MAX_DATA
        ):
            merged[-1] = Operation(ADD, last.length + step.length, 0, last.data + step.data)
        else:
            merged.append(step)
    return merged
