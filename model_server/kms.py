"""Data keys wrapped by AWS KMS: the key encryption key never leaves the service."""

from __future__ import annotations

from typing import Any

from feature_spec.extras import require
from model_server.errors import StateError, StorageError

_GONE = frozenset({"InvalidCiphertextException", "IncorrectKeyException", "NotFoundException"})


class KmsKeyProvider:
    """Wraps by ``Encrypt`` with the bundle's digest as encryption context, which KMS writes into its log."""

    def __init__(self, client: Any, key_id: str) -> None:
        """Use a ``boto3`` client of KMS and a symmetric key.

        Args:
            client: as of :func:`connect`.
            key_id: ARN of the key (not an alias: it is kept with what it wrapped).
        """
        self._client, self._key_id = client, key_id

    def __repr__(self) -> str:
        return f"KmsKeyProvider({self._key_id})"

    @property
    def key_id(self) -> str:
        """ARN of the key that wraps now. (KMS turns over the material behind it by itself.)"""
        return self._key_id

    def wrap(self, data_key: bytes, bundle_sha256: str) -> bytes:
        """KMS's ciphertext.

        Raises:
            StorageError: KMS cannot be reached or refuses.
        """
        answer = self._call(
            "encrypt", KeyId=self._key_id, Plaintext=data_key, EncryptionContext=_context(bundle_sha256)
        )
        return bytes(answer["CiphertextBlob"])

    def unwrap(self, wrapped: bytes, bundle_sha256: str, key_id: str) -> bytes:
        """The data key.

        Raises:
            StateError: not what this key wrapped for this bundle.
            StorageError: KMS cannot be reached or refuses.
        """
        if not key_id.startswith("arn:"):
            raise StateError(
                f"a data key is wrapped by {key_id}, which is no key of KMS; serve without --kms-key, or publish anew"
            )
        answer = self._call(
            "decrypt", KeyId=key_id, CiphertextBlob=wrapped, EncryptionContext=_context(bundle_sha256)
        )
        return bytes(answer["Plaintext"])

    def _call(self, method: str, **arguments: Any) -> dict[str, Any]:
        """The one place where the vendor's errors become ours; their text holds no key."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            answer: dict[str, Any] = getattr(self._client, method)(**arguments)
        except ClientError as error:
            code = error.response.get("Error", {}).get("Code", "")
            if code in _GONE:
                raise StateError(f"a data key does not unwrap by KMS ({code}); restore it") from error
            raise StorageError(f"KMS refuses to {method} ({code}); check the key and its policy") from error
        except BotoCoreError as error:
            raise StorageError(f"KMS cannot be reached: {error}") from error
        return answer


def connect(region: str | None = None) -> Any:
    """A client with the credentials of the environment.

    Raises:
        MissingExtraError: boto3 is not installed.
    """
    boto3: Any = require("boto3", extra="server")
    return boto3.client("kms", region_name=region)


def _context(bundle_sha256: str) -> dict[str, str]:
    return {"purpose": "coach-edge/bundle-key/1", "bundle": bundle_sha256}
