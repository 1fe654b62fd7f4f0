"""What does not fit into memory goes to a private folder of the system's, and is gone afterwards."""

from __future__ import annotations

import _thread
import contextlib
import signal
import stat
import tempfile
import threading
from pathlib import Path

import pytest

from feature_spec.warehouse.duckdb_engine import DuckDB
from feature_spec.warehouse.packages import ibis

pytestmark = pytest.mark.sampled


def spilled(engine: DuckDB) -> int:
    """Sort a hundred megabytes in less memory."""
    many = ibis.range(0, 3_000_000).unnest().name("n").as_table()
    wide = many.mutate(text=many.n.hash().cast("string").concat("-" * 30))
    return int(engine.fetch(engine.keep(wide.order_by("text")).count().name("n").as_table())["n"][0].as_py())


def test_nothing_is_written_beside_the_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here, system = tmp_path / "here", tmp_path / "system"
    here.mkdir()
    system.mkdir()
    monkeypatch.chdir(here)
    monkeypatch.setattr(tempfile, "tempdir", str(system))
    with DuckDB(memory_gib=0.1, threads=2) as engine:
        assert spilled(engine) == 3_000_000
        (folder,) = system.iterdir()
        assert list(folder.iterdir()), "it did not fit into memory"
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert not list(here.iterdir())
    assert not list(system.iterdir())


def test_it_is_gone_after_an_error(tmp_path: Path) -> None:
    with contextlib.suppress(KeyboardInterrupt), DuckDB(scratch=tmp_path):
        assert list(tmp_path.iterdir())
        raise KeyboardInterrupt
    assert not list(tmp_path.iterdir())


def test_it_stops_where_it_is_told_to(tmp_path: Path) -> None:
    # A shell ignores this signal for what it starts in the background, and then nobody can be told.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with DuckDB(threads=2, scratch=tmp_path) as engine:
        numbers = engine.keep(ibis.range(0, 100_000).unnest().name("n").as_table())
        endless = numbers.cross_join(numbers.select(m="n"))
        timer = threading.Timer(0.5, _thread.interrupt_main)
        timer.start()
        with pytest.raises(KeyboardInterrupt):
            engine.fetch(endless.aggregate(most=(endless.n * endless.m).max()))
        timer.join()
    assert not list(tmp_path.iterdir())
