"""``python -m device_tests.vectors docs/protocol/vectors`` writes the vectors."""

from __future__ import annotations

import sys
from pathlib import Path

from device_tests.vectors import generate

if len(sys.argv) != 2:
    sys.exit("usage: python -m device_tests.vectors FOLDER")
generate(Path(sys.argv[1]))
