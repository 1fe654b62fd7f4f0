"""One model in memory, however many threads compute in it."""

from __future__ import annotations

import pytest

from device_tests.simulator.models import ROW, fake_payload, sealed_model
from edge_sdk.crypto.sealing import AppKey
from tests.edge_sdk.conftest import MODEL, Device

KEY = AppKey(bytes(range(32)))


@pytest.mark.parametrize("padding", [0, 3 << 20])
@pytest.mark.parametrize("app_key", [None, KEY])
def test_sessions_share_one_buffer(device: Device, app_key: AppKey | None, padding: int) -> None:
    sealed = sealed_model(fake_payload(0.2) + b" " * padding, release=2, version="2.0.0", app_key=app_key)
    device.repository.publish(sealed)
    device.open(credential=KEY).update(MODEL)
    device.engine.loaded.clear()
    pool = device.open(credential=KEY, server=None, transport=None).model(MODEL)._model.pool
    sessions = [pool.acquire() for _ in range(3)]
    first, *others = device.engine.loaded
    assert len(others) == 2
    assert all(other is first for other in others)
    for session in sessions:
        pool.release(session)


def test_a_model_predicts_from_it(device: Device) -> None:
    """The control: what is shared is the model."""
    device.repository.publish(sealed_model(fake_payload(0.5) + b" " * (3 << 20), release=2, version="2.0.0"))
    device.open().update(MODEL)
    answer = device.open(server=None, transport=None).model(MODEL).predict(ROW, deadline_ms=60_000)
    assert answer.values["probability"] == pytest.approx(0.5 * sum(ROW.values()))
