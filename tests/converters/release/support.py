"""A repository's keys, cheap to guess, and small sealed bundles."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from converters.release.keys import KeyPlan, Signers, init_keys, load_signers
from converters.release.signing import artifact_of
from edge_sdk.contract import bundle, golden
from edge_sdk.contract.manifest import Artifact
from edge_sdk.contract.record import Budgets, FileDigest, Record, TensorSpec, bundle_files
from edge_sdk.contract.rules import Rules
from edge_sdk.contract.tolerance import Tolerance
from edge_sdk.crypto.sealing import AppKey, Sealed, seal

NOW = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)
CHEAP = 10  # scrypt's cost in tests, as a power of two


@dataclass(frozen=True)
class Repository:
    """A key folder, its root, and unlocked targets keys: two of three."""

    folder: Path
    root: bytes
    signers: Signers


def passphrase(name: str) -> str:
    return f"only for {name}"


def make_repository(folder: Path) -> Repository:
    init_keys(folder, passphrase, NOW, plan=KeyPlan(targets=3, targets_threshold=2), log_n=CHEAP)
    root = (folder / "root.json").read_bytes()
    return Repository(folder, root, load_signers(folder, root, passphrase))


def make_sealed(
    model: str = "goal-success",
    model_version: str = "1.0.0",
    target: str = "tflite",
    recipe: str = "fp32",
    channel: str = "stable",
    release: int = 1,
    app_key: AppKey | None = None,
) -> Sealed:
    """A bundle whose payload is no model: signing never looks into it."""
    one = np.ones((1, 1), np.float32)
    rest = {
        bundle.GOLDEN_NAME: golden.to_bytes([golden.Case("a", {"x": one}, {"y": one})]),
        bundle.PAYLOADS[target]: b"no model",
    }
    record = Record(
        model=model,
        model_version=model_version,
        target=target,
        recipe=recipe,
        state="none",
        files={name: FileDigest.of(data) for name, data in rest.items()},
        inputs=(TensorSpec("x", "float32", (-1, 1), ""),),
        outputs=(TensorSpec("y", "float32", (-1, 1), ""),),
        feature_spec_sha256="",
        features=(),
        tolerances={"y": Tolerance(1e-5)},
        budgets=Budgets(),
        rules=Rules(),
        fallback={},
        about={},
    )
    plain = bundle.write(bundle_files(record, rest))
    return seal(plain, channel=channel, release=release, requires=target, app_key=app_key)


def artifact(**changes: Any) -> Artifact:
    """An artifact from the arguments of ``make_sealed``."""
    return artifact_of(make_sealed(**changes))
