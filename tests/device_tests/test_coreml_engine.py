"""A Core ML bundle from the publisher to a prediction, on the evaluator in place of the framework."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from device_tests.coreml_device import EvaluatedModel
from device_tests.simulator.models import ROW, FakeEngine, sealed_model
from device_tests.simulator.repository import Network, Repository
from edge_sdk.crypto.sealing import AppKey, Sealed
from edge_sdk.errors import VerificationError
from edge_sdk.runtime.coreml import CoreML
from edge_sdk.update import UpdateStatus
from tests.converters.coreml_eval.packages import (
    Op,
    blob_file,
    blob_value,
    block,
    const,
    feature,
    package,
    program,
    value,
)
from tests.edge_sdk.conftest import MODEL, Device

KEY = AppKey(b"k" * 32)


def weighted_sum(weight: float) -> dict[str, bytes]:
    """A package with a weights file: ``probability`` is the weighted sum of the features."""
    weights = np.full((1, 3), weight, np.float32)
    operations = [
        const("w", weights, blob_value(weights, 64)),
        const("b", np.zeros(1, np.float32)),
        Op("linear", ("raw", "float32", (-1, 1)), {"x": "features", "weight": "w", "bias": "b"}),
        Op("mul", ("probability", "float32", (-1, 1)), {"x": "raw", "y": value(np.ones((1, 1), np.float32))}),
    ]
    described = block(1, feature("features", "float32", (-1, 3)))
    described += block(10, feature("probability", "float32", (-1, 1)))
    inputs = [("features", "float32", (-1, 3))]
    return package(program(operations, ("probability",), inputs, features=described), blob_file(weights))


def sealed(weight: float, release: int, **options: Any) -> Sealed:
    return sealed_model(
        weighted_sum(weight),
        release=release,
        version=f"{release}.0.0",
        target="coreml",
        requires="coreml-ios15",
        engine=CoreML(EvaluatedModel),
        app_key=KEY,
        **options,
    )


@pytest.fixture
def phone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    repository = Repository()
    with ExitStack() as stack:
        device = Device(tmp_path / "cache", repository, Network(repository), FakeEngine(), stack)

        def opened(**options: Any) -> Any:
            settings = {
                "engine": CoreML(EvaluatedModel),
                "capabilities": frozenset({"coreml-ios15"}),
                "credential": KEY,
                "root": repository.root,
            }
            return device.open(**{**settings, **options})

        yield repository, opened, tmp_path


def test_a_real_package_is_installed_proven_and_predicts(
    phone: tuple[Repository, Callable[..., Any], Path],
) -> None:
    repository, opened, folder = phone
    for release, weight, answer in ((1, 0.1, 0.0875), (2, 0.2, 0.175)):
        repository.publish(sealed(weight, release))
        assert opened().update(MODEL).release == release
        for client in (opened(), opened(server=None, root=None, transport=None)):
            predicted = client.model(MODEL).predict(ROW)
            assert (predicted.release, predicted.values["probability"]) == (release, pytest.approx(answer))
    assert list((folder / "temporary").iterdir()) == []
    program_bytes = weighted_sum(0.2)["Data/com.apple.CoreML/model.mlmodel"]
    blobs = [path.read_bytes() for path in folder.rglob("*") if path.is_file()]
    assert blobs
    assert not any(program_bytes in blob for blob in blobs), "plain bytes of an encrypted model on the disk"


def test_a_package_that_answers_wrongly_is_refused(
    phone: tuple[Repository, Callable[..., Any], Path],
) -> None:
    repository, opened, _ = phone
    repository.publish(sealed(0.1, 1))
    opened().update(MODEL)
    repository.publish(sealed(0.2, 2, golden_shift=0.5))
    with pytest.raises(VerificationError, match="golden case"):
        opened().update(MODEL)
    assert opened().model(MODEL).predict(ROW).release == 1


def test_other_engines_are_not_offered_it(phone: tuple[Repository, Callable[..., Any], Path]) -> None:
    repository, opened, _ = phone
    repository.publish(sealed(0.1, 1))
    done = opened(engine="litert", capabilities=None).update(MODEL)
    assert (done.status, done.release) == (UpdateStatus.WITHHELD, None)
    assert "needs coreml-ios15" in done.detail
