"""``edge features graph``: the feature model as a file for one platform."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from converters.targets.plan import TARGETS

if TYPE_CHECKING:
    from feature_spec.definition import FeatureSpec

_MAX_SPEC_BYTES: Final = 1_000_000


@click.command()
@click.option("--target", type=click.Choice(TARGETS), required=True, help="What to write.")
@click.option(
    "--spec",
    type=click.Path(dir_okay=False, exists=True, path_type=Path),
    help="A feature spec (JSON), such as the feature_spec.json of a trained model; default: the prebuilt features.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    required=True,
    help="File to write; for coreml the package, a folder, which must not exist yet.",
)
def graph(target: str, spec: Path | None, out: Path) -> dict[str, Any]:
    """Write the feature model: the day input in, features out, as one graph.

    It takes `daily` float32 [n, 90, 8, 3] and `context` float32 [n, 14] of docs/protocol/day-input.md and gives
    `features` float32 [n, features]; coreml takes one user at a time. Nothing is written unless it agrees with the
    reference on 1,000 made-up people. It checks nothing: whoever fills the tensors keeps the rules of that page.
    """
    from converters.feature_model import convert_features, write_artifact
    from feature_spec.prebuilt import PREBUILT

    definitions = PREBUILT if spec is None else _read(spec)
    made = convert_features(definitions, target)
    write_artifact(made.artifact, out)
    return {
        "out": str(out),
        "target": target,
        "bytes": made.artifact.size,
        "sha256": made.artifact.sha256,
        "features": list(definitions.names),
        "fingerprint": definitions.fingerprint(),
        "agreement": {"people": made.people, "worst": made.worst, "jumped": made.jumped},
    }


def _read(path: Path) -> FeatureSpec:
    from edge_sdk.contract import document
    from feature_spec.definition import FeatureSpec

    return FeatureSpec.from_json(document.parse(path.read_bytes(), str(path), max_bytes=_MAX_SPEC_BYTES))
