"""The manifest server: signed releases over an object store."""
