"""From the address of a store to the store."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

from feature_spec.extras import require
from model_server.errors import StartError
from model_server.storage.folder import FolderStore
from model_server.storage.s3 import S3Store
from model_server.storage.store import ObjectStore

TIMEOUT_S = 10
ATTEMPTS = 3


def open_store(url: str) -> ObjectStore:
    """A folder (``./folder``, ``/folder``, ``file:/folder``) or S3 (``s3://bucket/prefix``).

    Credentials, region and another endpoint of S3 come from where boto3 looks for them, such as
    ``AWS_ENDPOINT_URL``.

    Raises:
        StartError: another kind of address.
        StorageError: the folder cannot be used.
        MissingExtraError: boto3 is not installed.
    """
    scheme, separator, rest = url.partition(":")
    if not separator or not scheme.isalnum() or len(scheme) == 1:  # one letter is a drive of Windows
        return FolderStore(url)
    if scheme == "file":
        parts = urlsplit(url)
        if parts.netloc not in ("", "localhost") or not parts.path:
            raise StartError(f"--storage {url}: write file:/folder, on this machine")
        return FolderStore(url2pathname(parts.path))
    if scheme == "s3":
        bucket, _, prefix = rest.removeprefix("//").partition("/")
        if not bucket or not rest.startswith("//"):
            raise StartError(f"--storage {url}: write s3://bucket or s3://bucket/prefix")
        return S3Store(bucket, _client(), prefix)
    raise StartError(f"--storage {url}: write a folder, file:/folder or s3://bucket/prefix")


def _client() -> Any:
    boto3: Any = require("boto3", extra="server")
    config: Any = require("botocore.config", extra="server")
    limits = config.Config(
        connect_timeout=TIMEOUT_S,
        read_timeout=TIMEOUT_S,
        retries={"max_attempts": ATTEMPTS, "mode": "standard"},
    )
    return boto3.client("s3", config=limits)
