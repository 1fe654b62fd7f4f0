"""Which bytes of an old file the bytes of a new one come from: matching windows give shifts, shifts give stretches.

Weights that were all trained on match nowhere, but what lies around them does: between two places with the same
shift, everything is taken to have it too.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

_WINDOW: Final = 16
_FINE: Final = 1 << 18
"""Files up to this length may shift by any number of bytes; in longer ones, which hold tensors, by multiples of 4."""
_WORD: Final = 4
_AT_A_TIME: Final = 1 << 20
"""Windows in memory."""
_COARSE: Final = 1 << 12
"""How exactly a place is looked for in a long stretch where nothing matches."""
_MIX: Final = (np.uint64(0x9E3779B97F4A7C15), np.uint64(0xC2B2AE3D27D4EB4F))
"""Odd numbers; a chance match costs some bytes and nothing else."""

Bytes = NDArray[np.uint8]
Numbers = NDArray[np.int64]


class Stretch(NamedTuple):
    """Bytes [start, stop) of the new file; ``shift`` more is where they lie in the old one, None where nowhere."""

    start: int
    stop: int
    shift: int | None


def stretches(old: Bytes, new: Bytes) -> Iterator[Stretch]:
    """The new file from beginning to end, each stretch within the bounds of the old one."""
    anchors = [(0, 0), *_anchors(old, new), (len(new), len(old) - len(new))]
    at = 0
    for (begin, shift), (end, following) in pairwise(anchors):
        if shift != following:
            split = _split(old, new, max(begin, at), end, shift, following)
            yield from _clipped(at, split, shift, len(old))
            at = split
    yield from _clipped(at, len(new), anchors[-1][1], len(old))


def _anchors(old: Bytes, new: Bytes) -> list[tuple[int, int]]:
    """Places in the new file and their shifts, each the first or last of a row of windows that agree on it."""
    step = 1 if max(len(old), len(new)) <= _FINE else _WORD
    there = [*_windows(old, step * 4 if step > 1 else 1)]
    if not there:
        return []
    starts, known = (np.concatenate(column) for column in zip(*there, strict=True))
    hashes, first, times = np.unique(known, return_index=True, return_counts=True)
    hashes, places = hashes[times == 1], starts[first[times == 1]]  # what occurs twice says nothing
    if not len(hashes):
        return []
    found_at, found_shift = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    for here, wanted in _windows(new, step):
        nearest = np.minimum(np.searchsorted(hashes, wanted), len(hashes) - 1)
        match = hashes[nearest] == wanted
        found_at.append(here[match])
        found_shift.append(places[nearest[match]] - here[match])
    at, shift = np.concatenate(found_at), np.concatenate(found_shift)
    # A lone window is chance; neighbours that say the same are not.
    agrees = np.zeros(len(at), bool)
    same = shift[1:] == shift[:-1]
    agrees[1:] |= same
    agrees[:-1] |= same
    at, shift = at[agrees], shift[agrees]
    if not len(at):
        return []
    change = np.flatnonzero(shift[1:] != shift[:-1])
    firsts, lasts = np.r_[0, change + 1], np.r_[change, len(at) - 1]
    rows: list[tuple[int, int]] = []
    for low, high in zip(firsts.tolist(), lasts.tolist(), strict=True):
        rows += [(int(at[low]), int(shift[low])), (int(at[high]) + _WINDOW, int(shift[high]))]
    return rows


def _windows(data: Bytes, step: int) -> Iterator[tuple[Numbers, NDArray[np.uint64]]]:
    """Where windows begin, every ``step`` bytes, and a number for what is in each; so many at a time."""
    count = (len(data) - _WINDOW) // step + 1
    for low in range(0, count, _AT_A_TIME):
        starts = np.arange(low, min(low + _AT_A_TIME, count), dtype=np.int64) * step
        rows = np.lib.stride_tricks.sliding_window_view(data, _WINDOW)[starts[0] : starts[-1] + 1 : step]
        halves: NDArray[np.uint64] = np.ascontiguousarray(rows).view(np.uint64)
        yield starts, halves[:, 0] * _MIX[0] + halves[:, 1] * _MIX[1]


def _split(old: Bytes, new: Bytes, begin: int, end: int, before: int, after: int) -> int:
    """Where between two anchors the first shift ends and the second begins: most bytes stay the same."""
    if end <= begin:
        return begin
    grain = 1 if end - begin <= _FINE else _COARSE
    kept = _same(old, new, begin, end, before, grain).cumsum()
    late = _same(old, new, begin, end, after, grain)[::-1].cumsum()[::-1]
    gain = np.r_[0, kept] + np.r_[late, 0]
    split = min(begin + int(gain.argmax()) * grain, end)
    return split if max(len(old), len(new)) <= _FINE else split - split % _WORD


def _same(old: Bytes, new: Bytes, begin: int, end: int, shift: int, grain: int) -> Numbers:
    """How many bytes are equal under a shift, of each ``grain`` of them."""
    same = np.zeros(-(-(end - begin) // grain) * grain, bool)
    low, high = max(begin, -shift), min(end, len(old) - shift)
    if low < high:
        same[low - begin : high - begin] = new[low:high] == old[low + shift : high + shift]
    return np.asarray(same.reshape(-1, grain).sum(axis=1, dtype=np.int64))


def _clipped(start: int, stop: int, shift: int, old_length: int) -> Iterator[Stretch]:
    """The stretch, cut where it would leave the old file."""
    low = min(max(start, -shift), stop)
    high = max(min(stop, old_length - shift), low)
    for part in (Stretch(start, low, None), Stretch(low, high, shift), Stretch(high, stop, None)):
        if part.start < part.stop:
            yield part
