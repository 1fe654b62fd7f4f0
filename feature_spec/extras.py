"""Optional dependencies: imported at use, and missing with one clear error."""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import Any

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


class Late:
    """A module of an extra, imported when something of it is first used: nobody pays for it or lacks it before."""

    def __init__(self, module: str, *, extra: str) -> None:
        self._module = module
        self._extra = extra

    def __getattr__(self, name: str) -> Any:
        return getattr(require(self._module, extra=self._extra), name)
