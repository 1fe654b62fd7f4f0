"""The client for asyncio says what the client says, and never holds up the loop."""

from __future__ import annotations

import asyncio
import threading

import pytest

from device_tests.simulator.models import ROW, fake_model
from device_tests.simulator.repository import SERVER
from edge_sdk.aio import AsyncEdgeClient
from edge_sdk.errors import InputError, NotAvailable
from edge_sdk.update import RefreshStatus, UpdateStatus
from tests.edge_sdk.conftest import MODEL, Device


async def opened(device: Device) -> AsyncEdgeClient:
    return await AsyncEdgeClient.open(
        device.folder,
        SERVER,
        engine=device.engine,
        capabilities=frozenset({"tflite"}),
        clock=lambda: device.now,
        transport=device.network,
    )


def test_the_same_answers(device: Device) -> None:
    async def main() -> None:
        async with await opened(device) as client:
            assert (await client.refresh()).status is RefreshStatus.UNCHANGED
            device.repository.publish(fake_model(0.2, 2))
            assert (await client.update(MODEL)).status is UpdateStatus.INSTALLED
            model = await client.model(MODEL)
            one, many = await asyncio.gather(
                model.predict(ROW, deadline_ms=60_000), model.predict_batch({"effort": [1.0, 0.5]})
            )
            assert (one.release, len(many)) == (2, 2)
            assert [(health.release, health.predictions) for health in await client.health()] == [
                (2, {"fresh": 2})
            ]
            with pytest.raises(InputError, match="without telemetry"):
                await client.upload_telemetry()
            with pytest.raises(NotAvailable):
                await client.model("nope")
        with pytest.raises(NotAvailable, match="was closed"):
            await client.model(MODEL)

    asyncio.run(main())


def test_the_loop_goes_on_while_a_download_waits(device: Device) -> None:
    new, may_answer = fake_model(0.2, 2), threading.Event()
    device.repository.publish(new)

    def slowly() -> object:
        assert may_answer.wait(60)
        return iter([new.served])

    device.repository.files[f"/v1/bundles/{new.sha256}"] = slowly  # type: ignore[assignment]

    async def main() -> None:
        async with await opened(device) as client:
            update = asyncio.ensure_future(client.update(MODEL))
            model = await client.model(MODEL)
            assert (await model.predict(ROW, deadline_ms=60_000)).release == 1
            may_answer.set()
            assert (await update).release == 2

    asyncio.run(main())
