"""Object stores: five verbs, and one contract suite that every store passes."""

from model_server.storage.folder import FolderStore
from model_server.storage.opening import open_store
from model_server.storage.s3 import S3Store
from model_server.storage.store import ObjectStore, Stat, check_key

__all__ = ["FolderStore", "ObjectStore", "S3Store", "Stat", "check_key", "open_store"]
