"""What is judged is what was written, in parts of any size; and it is read as strictly as for training."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feature_spec import instants
from feature_spec.dataset import DataFiles, load
from feature_spec.errors import FeatureSpecError
from feature_spec.quality import judge, reading
from feature_spec.quality.log import Log, Subject
from feature_spec.tables import read_parts
from tests.feature_spec.quality_logs import ZONE, clean
from tests.feature_spec.test_bad_files import EVENT_TABLE, LABEL_TABLE

HEAD = "user_id,timestamp,event_type,count\n"
PARDONED = {"conflict", "conflict value", "cell", "all gone", "nobody"}
"""What stops the features and is a finding here, or nothing that a check looks at."""


@pytest.mark.parametrize("size", [2, 7, 1000, 10**6])
def test_the_size_of_parts_changes_nothing(
    size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = clean(users=5).write(tmp_path)
    whole = reading.read_subject(files, ZONE)
    monkeypatch.setattr(reading, "PART_ROWS", size)
    parts = reading.read_subject(files, ZONE)
    for name in ("user", "kind", "day", "count", "instant", "local_ms", "event_id", "received"):
        assert np.array_equal(getattr(whole.log, name), getattr(parts.log, name)), name
    assert judge(parts).to_bytes() == judge(whole).to_bytes()


def test_days_are_those_that_features_see(tmp_path: Path) -> None:
    files = clean(users=5).write(tmp_path)
    subject = reading.read_subject(files, ZONE)
    dataset = load(files, ZONE)
    by_user = Subject(Log.of_dataset(dataset), dataset.people)
    assert sorted(
        zip([subject.log.users[u] for u in subject.log.user], subject.log.day, strict=True)
    ) == sorted(zip([by_user.log.users[u] for u in by_user.log.user], by_user.log.day, strict=True))


@settings(max_examples=40)
@given(
    st.lists(
        st.datetimes(
            min_value=datetime(1970, 1, 2),
            max_value=datetime(2190, 1, 1),
        ),
        min_size=1,
        max_size=20,
    ),
    st.sampled_from(["UTC", "Europe/Berlin", "Australia/Lord_Howe", "Asia/Kathmandu", "America/St_Johns"]),
    st.booleans(),
)
def test_local_days_row_by_row(
    tmp_path_factory: pytest.TempPathFactory, moments: list[datetime], zone: str, plain: bool
) -> None:
    path = tmp_path_factory.mktemp("log") / "events.csv"
    form = "%Y-%m-%dT%H:%M:%SZ" if plain else "%Y-%m-%dT%H:%M:%S.%f+00:00"
    texts = [moment.strftime(form) for moment in moments]
    path.write_text(HEAD + "".join(f"ann,{text},session,1\n" for text in texts))
    log = reading.read_subject(DataFiles(path), zone).log
    expected = [instants.parse_instant(text) for text in texts]
    assert log.instant is not None
    assert log.instant.tolist() == expected
    assert log.day.tolist() == [instants.local_day(moment, instants.zone(zone)) for moment in expected]


@pytest.mark.parametrize("case", EVENT_TABLE, ids=[row[0] for row in EVENT_TABLE])
def test_malformed_events_are_the_same_error(case: tuple[str, str | bytes, str], tmp_path: Path) -> None:
    name, content, says = case
    path = tmp_path / "events.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    if name in PARDONED:
        judge(reading.read_subject(DataFiles(path)))
        return
    with pytest.raises(FeatureSpecError, match=says):
        reading.read_subject(DataFiles(path))


@pytest.mark.parametrize("case", LABEL_TABLE, ids=[row[0] for row in LABEL_TABLE])
def test_malformed_labels_are_the_same_error(case: tuple[str, str, str], tmp_path: Path) -> None:
    name, content, says = case
    (tmp_path / "events.csv").write_text("user_id,day,event_type,count\na,1,session,1\n")
    (tmp_path / "labels.csv").write_text(content)
    files = DataFiles(tmp_path / "events.csv", tmp_path / "labels.csv")
    if name in PARDONED:
        judge(reading.read_subject(files))
        return
    with pytest.raises(FeatureSpecError, match=says):
        reading.read_subject(files)


@pytest.mark.parametrize("blank", [0, 1, 2, 3, 5])
def test_rows_are_numbered_through_all_parts(blank: int, tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text("a,b\n" + "1,2\n" * 5 + "\n" * blank)
    parts = list(read_parts(path, 2))
    assert sum(part.rows for part in parts) == 5
    assert parts[-1].at(parts[-1].rows - 1, "b") == "log.csv, row 6, column b"
    path.write_text("a,b\n" + "1,2\n" * 5 + "\n" * blank + "1\n")
    with pytest.raises(FeatureSpecError, match=r"row 7: [01] cells"):
        list(read_parts(path, 2))
