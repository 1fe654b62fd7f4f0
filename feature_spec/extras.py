"""Optional dependencies: imported at use, and missing with one clear error."""

from __future__ import annotations

import importlib
from types import ModuleType

from feature_spec.errors import MissingExtraError


def require(module: str, *, extra: str) -> ModuleType:
    """Import ``module``, which the optional dependency group ``extra`` brings.

    Raises:
        MissingExtraError: the module is not installed; the message names the extra.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        missing = error.name or module
        if missing.partition(".")[0] != module.partition(".")[0]:
            raise  # installed but broken: hiding that would send people to the wrong place
        raise MissingExtraError(
            f"{missing} is not installed; this needs the extra '{extra}': pip install 'coach-edge[{extra}]'"
        ) from error
