"""Data sets of many users: files or columns in, the day input at a cut-off day out."""

from feature_spec.ingest import DataFiles, load
from feature_spec.population import Dataset, People, Snapshot

__all__ = ["DataFiles", "Dataset", "People", "Snapshot", "load"]
