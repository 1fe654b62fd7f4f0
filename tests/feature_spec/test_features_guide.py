"""The guide to writing features: its blocks, run one after the other, print what it says."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "features.md"
BLOCK = re.compile(r"```(python|text)\n(.*?)```", re.DOTALL)


def test_the_guide_prints_what_it_says() -> None:
    blocks = BLOCK.findall(GUIDE.read_text("utf-8"))
    code = "".join(text for kind, text in blocks if kind == "python")
    says = "".join(text for kind, text in blocks if kind == "text")
    code += 'print(FeatureSpec.from_json(json.loads(document)) == spec, sum_days(daily("count", "session")).unit)\n'
    command = [sys.executable, "-c", code]
    result = subprocess.run(
        command, capture_output=True, text=True, timeout=60, check=False, cwd=GUIDE.parents[2]
    )
    assert result.stderr == ""
    assert result.stdout == says + "True event\n"
    assert says.count("\n") == 5
