"""A delta made in the plainest way, for servers that are simulated, since the maker is not for these tests."""

from __future__ import annotations

from edge_sdk.contract import delta
from edge_sdk.contract.delta import Operation
from edge_sdk.contract.manifest import Artifact
from edge_sdk.crypto import deltas
from edge_sdk.crypto.sealing import BundleKey, Sealed


def plain_delta(
    old: Sealed, new: Sealed, key: BundleKey | None = None, old_key: BundleKey | None = None
) -> bytes:
    """From ``old`` to ``new``, sealed with ``key``, or each with its own; short where most bytes are equal.

    The first quarter is compared as it lies from the beginning, the rest as it lies from the end.
    """
    base, wanted = (Artifact(s.entry.path, len(s.served), s.sha256, s.entry) for s in (old, new))
    both = ((old, old_key or key), (new, key))
    before, after = (bytes(deltas.plain_of(each.served, each.entry, of)) for each, of in both)
    head = len(after) // 4
    shift = len(before) - len(after)
    steps = [
        Operation(
            1,
            stop - start,
            start + by,
            delta.difference(before[start + by : stop + by], after[start:stop], 1),
        )
        for start, stop, by in ((0, head, 0), (head, len(after), shift))
    ]
    patch = delta.write(len(before), len(after), deltas.header_of(new.served, new.entry), steps)
    made = deltas.seal(patch, base, wanted, key)
    assert len(made) <= delta.MAX_SHARE * len(new.served)  # else no device asks for it
    return made
