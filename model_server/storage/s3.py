"""An object store in S3 or what speaks its protocol, through boto3."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from feature_spec.extras import require
from model_server.errors import Conflict, ObjectNotFound, StorageError
from model_server.storage.store import ObjectStore, Stat, check_key, check_prefix, check_range

ATTEMPTS = 5
"""S3 answers 409 when conditional writes of one key overlap, which says nothing about who wins: ask again."""


class S3Store(ObjectStore):
    """Objects of a bucket, under a prefix; needs a server that honours If-Match and If-None-Match on PUT."""

    def __init__(self, bucket: str, client: Any, prefix: str = "") -> None:
        """Keep the client; nothing is asked of the server yet.

        Args:
            bucket: its name.
            client: ``boto3.client("s3")``.
            prefix: stands before every key, with a ``/`` between.
        """
        self._bucket, self._client = bucket, client
        self._prefix = check_key(prefix.strip("/")) + "/" if prefix.strip("/") else ""

    def get(self, key: str, start: int = 0, length: int | None = None) -> bytes:
        check_range(start, length)
        if length == 0:  # a range of no bytes cannot be said in HTTP
            if self.head(key) is None:
                raise ObjectNotFound(f"there is no object {key}")
            return b""
        arguments = self._named(key)
        if start or length is not None:
            arguments["Range"] = f"bytes={start}-{'' if length is None else start + length - 1}"
        try:
            with _translated(key):
                with self._client.get_object(**arguments)["Body"] as body:
                    data: bytes = body.read()
                return data
        except _BeyondTheEnd:
            return b""

    def head(self, key: str) -> Stat | None:
        arguments = self._named(key)
        try:
            with _translated(key):
                answer = self._client.head_object(**arguments)
        except ObjectNotFound:
            return None
        return Stat(answer["ContentLength"], answer["ETag"])

    def put_if_absent(self, key: str, data: bytes) -> bool:
        try:
            self._put(key, data, IfNoneMatch="*")
        except Conflict:
            return False
        return True

    def replace_if_match(self, key: str, data: bytes, etag: str | None) -> str:
        try:
            return self._put(key, data, **({"IfNoneMatch": "*"} if etag is None else {"IfMatch": etag}))
        except ObjectNotFound as error:  # how S3 says that there is nothing to match
            raise Conflict(f"{key} is not there any more; read again") from error

    def list(self, prefix: str) -> Iterator[str]:
        start = self._prefix + check_prefix(prefix)
        # The request for a further page fails in the middle of the iteration: all of it is translated.
        with _translated(prefix):
            pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=start)
            for page in pages:
                for item in page.get("Contents", ()):
                    yield item["Key"][len(self._prefix) :]

    def _put(self, key: str, data: bytes, **condition: str) -> str:
        arguments = self._named(key)
        for _ in range(ATTEMPTS):
            try:
                with _translated(key):
                    etag: str = self._client.put_object(**arguments, Body=data, **condition)["ETag"]
                return etag
            except _Overlap:
                continue
        raise StorageError(f"the store is busy with other writes of {key}; try again")

    def _named(self, key: str) -> dict[str, Any]:
        return {"Bucket": self._bucket, "Key": self._prefix + check_key(key)}


class _BeyondTheEnd(Exception):
    """A range that starts after the last byte."""


class _Overlap(Exception):
    """Another conditional write of the same key is under way."""


@contextmanager
def _translated(key: str) -> Iterator[None]:
    """The one place where the vendor's errors become ours."""
    exceptions: Any = require("botocore.exceptions", extra="server")
    try:
        yield
    except exceptions.ClientError as error:
        code = str(error.response.get("Error", {}).get("Code"))
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
        if code == "NoSuchBucket":
            raise StorageError(f"the store has no such bucket: {error}") from error
        if status == 404:
            raise ObjectNotFound(f"there is no object {key}") from error
        if status == 416:
            raise _BeyondTheEnd from error
        if status == 412:
            raise Conflict(f"{key} was changed by somebody else; read it again") from error
        if status == 409:
            raise _Overlap from error
        raise StorageError(f"the store refused {key}: {error}") from error
    except exceptions.BotoCoreError as error:
        raise StorageError(f"the store cannot be reached for {key}: {error}") from error
