"""Both stores under the one contract, what is special to each, and stores that break it and are caught."""

from __future__ import annotations

import io
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test
from moto import mock_aws

from model_server.errors import Conflict, ObjectNotFound, StartError, StorageError
from model_server.storage import FolderStore, ObjectStore, S3Store, Stat, files, open_store
from tests.model_server.storage_contract import StoreContract, model_of, together

MACHINE = settings(
    max_examples=15, stateful_step_count=15, deadline=None, suppress_health_check=list(HealthCheck)
)
pytestmark = pytest.mark.filterwarnings("ignore:datetime.datetime.utcnow:DeprecationWarning")


class LockedClient:
    """moto looks and writes in two steps, and closes what is being read when it is replaced; a real server
    does each in one."""

    def __init__(self, client: Any) -> None:
        self._client, self._lock = client, threading.Lock()

    def put_object(self, **arguments: Any) -> Any:
        with self._lock:
            return self._client.put_object(**arguments)

    def get_object(self, **arguments: Any) -> Any:
        with self._lock:
            answer = self._client.get_object(**arguments)
            return {**answer, "Body": io.BytesIO(answer["Body"].read())}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    with mock_aws():
        client = boto3.client("s3", config=Config(max_pool_connections=20, retries={"max_attempts": 1}))
        client.create_bucket(Bucket="models")
        yield LockedClient(client)


class TestFolderStore(StoreContract):
    @pytest.fixture
    def store(self, tmp_path: Path) -> ObjectStore:
        return FolderStore(tmp_path / "store")


class TestS3Store(StoreContract):
    @pytest.fixture
    def store(self, s3: Any) -> ObjectStore:
        return S3Store("models", s3, "some/prefix")


def test_folder_store_as_a_model(tmp_path: Path) -> None:
    numbers = iter(range(10**9))
    run_state_machine_as_test(model_of(lambda: FolderStore(tmp_path / str(next(numbers)))), settings=MACHINE)


def test_s3_store_as_a_model(s3: Any) -> None:
    numbers = iter(range(10**9))
    run_state_machine_as_test(model_of(lambda: S3Store("models", s3, f"p{next(numbers)}")), settings=MACHINE)


# Controls: a contract that no store can fail proves nothing.


class WithoutAtomicCreation(FolderStore):
    """Looks first and writes then."""

    pause: Callable[[], object] = staticmethod(lambda: None)

    def put_if_absent(self, key: str, data: bytes) -> bool:
        if self.head(key) is not None:
            return False
        self.pause()
        path = self._path(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return True


class WithoutComparing(FolderStore):
    """Replaces whatever is there."""

    def replace_if_match(self, key: str, data: bytes, etag: str | None) -> str:
        stat = self.head(key)
        return super().replace_if_match(key, data, stat.etag if stat else None)


class ForgetsTheEnd(FolderStore):
    """Reads a range one byte too long."""

    def get(self, key: str, start: int = 0, length: int | None = None) -> bytes:
        return super().get(key, start, None if length is None else length + 1)


def test_the_contract_catches_a_store_that_looks_first_and_writes_then(tmp_path: Path) -> None:
    store = WithoutAtomicCreation(tmp_path)
    barrier = threading.Barrier(16)
    store.pause = lambda: barrier.wait(60)  # type: ignore[method-assign]  # every thread has looked, none has written
    with pytest.raises(AssertionError):
        StoreContract().test_one_of_many_creates(store)


def test_the_contract_catches_a_store_that_does_not_compare(tmp_path: Path) -> None:
    with pytest.raises(pytest.fail.Exception, match="DID NOT RAISE"):
        StoreContract().test_replace_needs_the_present_version(WithoutComparing(tmp_path))


def test_the_model_catches_a_wrong_range(tmp_path: Path) -> None:
    numbers = iter(range(10**9))
    with pytest.raises(AssertionError):
        run_state_machine_as_test(
            model_of(lambda: ForgetsTheEnd(tmp_path / str(next(numbers)))),
            settings=settings(
                MACHINE, max_examples=100, database=None, derandomize=True, phases=[Phase.generate]
            ),
        )


# The folder.


def test_a_failed_write_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = FolderStore(tmp_path)
    store.put_if_absent("p", b"old")
    before = store.head("p")
    assert before is not None

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match=r"cannot use q: No space left on device"):
        store.put_if_absent("q", b"new")
    with pytest.raises(StorageError, match=r"cannot use p: No space left"):
        store.replace_if_match("p", b"new", before.etag)
    monkeypatch.undo()
    assert list(store.list("")) == ["p"]
    assert store.get("p") == b"old"
    assert sorted(path.name for path in tmp_path.iterdir()) == [".lock", "p"]


@pytest.mark.parametrize("verb", ["put", "replace", "present"])
def test_file_and_folder_are_synced_in_order(
    verb: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = FolderStore(tmp_path)
    if verb != "put":
        store.put_if_absent("a/p", b"old")
    stat = store.head("a/p")
    calls: list[str] = []

    def fsync(descriptor: int) -> None:
        path = Path(os.readlink(f"/proc/self/fd/{descriptor}"))
        calls.append("file" if path.is_file() else f"folder {path.relative_to(tmp_path)}")

    def recorded(true: Callable[..., None]) -> Callable[..., None]:
        def act(*arguments: Any) -> None:
            calls.append("name")
            true(*arguments)

        return act

    monkeypatch.setattr(os, "link", recorded(os.link))
    monkeypatch.setattr(os, "replace", recorded(os.replace))
    monkeypatch.setattr(os, "fsync", fsync)
    if verb == "replace":
        assert stat is not None
        store.replace_if_match("a/p", b"new", stat.etag)
    else:
        store.put_if_absent("a/p", b"new")
    folders = ["folder a", "folder ."]
    assert calls == (folders if verb == "present" else ["file", "name", *folders])


def test_names_with_a_dot_are_not_objects(tmp_path: Path) -> None:
    (tmp_path / "objects").mkdir()
    (tmp_path / "objects" / ".tmp-left-by-a-crash").write_bytes(b"half")
    assert list(FolderStore(tmp_path).list("")) == []


def test_a_folder_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageError, match="file"):
        FolderStore(tmp_path / "file")


def test_the_lock_where_there_is_no_flock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in for Windows, whose call gives up now and then and must be asked again."""
    import errno
    import sys
    import types

    held = threading.Lock()
    asked: list[int] = []
    inside: list[int] = []

    def locking(descriptor: int, mode: int, count: int) -> None:
        assert (mode, count) == (1, 1)
        asked.append(descriptor)
        if len(asked) == 1 or not held.acquire(timeout=60):
            raise OSError(errno.EDEADLK, "Resource deadlock avoided")

    monkeypatch.setitem(sys.modules, "fcntl", None)
    monkeypatch.setitem(sys.modules, "msvcrt", types.SimpleNamespace(locking=locking, LK_LOCK=1))

    def act(index: int) -> None:
        with files.exclusive(tmp_path / ".lock"):
            inside.append(index)
            assert len(inside) == 1
            inside.clear()
            held.release()

    together(4, act)
    assert len(asked) == 5


def test_no_folder_can_be_synced_on_windows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("model_server.storage.files.os.name", "nt")
    monkeypatch.setattr(os, "open", lambda *_: pytest.fail("opened a folder"))
    files.sync_folder(tmp_path)


# S3.


def test_vendor_errors_are_translated(s3: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(StorageError, match="no such bucket"):
        S3Store("absent", s3).get("a")
    with pytest.raises(StorageError, match="no such bucket"):
        list(S3Store("absent", s3).list(""))
    from botocore.exceptions import EndpointConnectionError

    def unreachable(**_: Any) -> None:
        raise EndpointConnectionError(endpoint_url="http://127.0.0.1:9")

    monkeypatch.setattr(s3, "put_object", unreachable)
    with pytest.raises(StorageError, match="cannot be reached for a: Could not connect"):
        S3Store("models", s3).put_if_absent("a", b"")


@pytest.mark.parametrize("overlaps", [1, 100])
def test_overlapping_conditional_writes_are_asked_again(s3: Any, overlaps: int) -> None:
    from botocore.exceptions import ClientError

    left = [overlaps]
    true = s3.put_object

    def overlapping(**arguments: Any) -> Any:
        left[0] -= 1
        if left[0] >= 0:
            answer = {
                "Error": {"Code": "ConditionalRequestConflict"},
                "ResponseMetadata": {"HTTPStatusCode": 409},
            }
            raise ClientError(answer, "PutObject")  # type: ignore[arg-type]
        return true(**arguments)

    s3.put_object = overlapping
    store = S3Store("models", s3)
    if overlaps == 1:
        assert store.put_if_absent("a", b"x")
    else:
        with pytest.raises(StorageError, match="busy"):
            store.put_if_absent("a", b"x")
        assert store.head("a") is None


def test_a_pointer_that_vanished_is_a_conflict(s3: Any) -> None:
    store = S3Store("models", s3)
    etag = store.replace_if_match("p", b"1", None)
    s3.delete_object(Bucket="models", Key="p")
    with pytest.raises(Conflict):
        store.replace_if_match("p", b"2", etag)
    with pytest.raises(ObjectNotFound):
        store.get("p")


# Addresses.


def test_addresses_of_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    open_store("./one").put_if_absent("a", b"1")
    assert open_store(f"file:{tmp_path}/one").get("a") == b"1"
    assert open_store(f"file://{tmp_path}/one").get("a") == b"1"
    assert open_store(str(tmp_path / "one")).head("a") == Stat(1, open_store("one").head("a").etag)  # type: ignore[union-attr]


def test_address_of_a_bucket(s3: Any) -> None:
    assert open_store("s3://models/some/prefix").put_if_absent("a", b"1")
    assert s3.get_object(Bucket="models", Key="some/prefix/a")["Body"].read() == b"1"


@pytest.mark.parametrize(
    "url", ["gs://bucket", "s3:bucket", "s3://", "file://host/folder", "file:", "http://x/y"]
)
def test_other_addresses_are_refused(url: str) -> None:
    with pytest.raises(StartError, match="--storage"):
        open_store(url)
