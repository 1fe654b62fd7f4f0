"""``edge features``: definitions, batch features and golden vectors; and the options that name data."""

from __future__ import annotations

import csv
import functools
import io
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from feature_spec.canonical import canonical_json
from feature_spec.codegen.languages import LANGUAGES, generate
from feature_spec.definition import FeatureSpec
from feature_spec.errors import CompatError, DataError, DefinitionError
from feature_spec.files import write_whole
from feature_spec.ingest import DataFiles, load
from feature_spec.numpy_evaluator import evaluate
from feature_spec.prebuilt import PREBUILT
from feature_spec.registry import REGISTRY, STATUSES, listing
from feature_spec.spec_files import read_spec, refuse_names
from feature_spec.warehouse.files import is_parquet

F = TypeVar("F", bound=Callable[..., Any])

ENGINES = ("duckdb", "spark")
"""Engines of the warehouse."""

_FILE = click.Path(dir_okay=False, path_type=Path)
_DATA_OPTIONS = (
    click.option(
        "--events",
        type=_FILE,
        help="Event log: CSV or Parquet with user_id, timestamp or day, event_type, count.",
    ),
    click.option(
        "--labels",
        type=_FILE,
        help="Outcomes and what else is known of each user: CSV or Parquet with user_id.",
    ),
    click.option(
        "--assessments",
        type=_FILE,
        help="Items that fall due on a day for everybody: CSV or Parquet with day.",
    ),
    click.option(
        "--mapping", help="Mapping file (TOML) for a foreign log, or the name of a shipped one (oulad)."
    ),
    click.option(
        "--cutoff-day",
        "cutoff_days",
        type=int,
        multiple=True,
        help="Use what happened up to the end of this day of each user (repeatable); default the log's last day.",
    ),
    click.option(
        "--zone", default="UTC", show_default=True, help="IANA time zone in which days are counted."
    ),
    click.option(
        "--users", type=_FILE, help="CSV or Parquet with user_id and zone, for users in other zones."
    ),
)


def data_options(command: F) -> F:
    """Give a command the options that name data.

    The command receives ``data`` (a ``DataFiles``, or None without ``--events``), ``cutoff_days`` (a tuple
    of integers, empty for the end of the log) and ``zone``.
    """

    @functools.wraps(command)
    def wrapped(
        *args: Any,
        events: Path | None,
        labels: Path | None,
        assessments: Path | None,
        mapping: str | None,
        users: Path | None,
        **kwargs: Any,
    ) -> Any:
        if events is None and any(other is not None for other in (labels, assessments, mapping, users)):
            raise click.UsageError("--labels, --assessments, --mapping and --users need --events")
        data = None if events is None else DataFiles(events, labels, assessments, mapping, users)
        return command(*args, data=data, **kwargs)

    decorated: Any = wrapped
    for option in reversed(_DATA_OPTIONS):
        decorated = option(decorated)
    return decorated  # type: ignore[no-any-return]


def share(_ctx: click.Context, _parameter: click.Parameter, value: float) -> float:
    """Callback of an option that is a number from 0 to 1; click's own range lets NaN through."""
    if not 0 <= value <= 1:
        raise click.BadParameter("give a number from 0 to 1")
    return value


def number(_ctx: click.Context, _parameter: click.Parameter, value: float) -> float:
    """Callback of an option whose range is click's own, which lets NaN through."""
    if math.isnan(value):
        raise click.BadParameter("give a number")
    return value


@click.group()
def features() -> None:
    """Feature definitions, batch features, golden vectors."""


@features.command("list")
@click.option(
    "--group", type=click.Choice([group.name for group in REGISTRY.groups]), help="Of one group only."
)
@click.option("--status", type=click.Choice(STATUSES), help="Of one status only.")
def list_features(group: str | None, status: str | None) -> dict[str, Any]:
    """List every name of the registry: computed, declared as an input, or derived from text; unit, range, formula."""
    rows = [
        row
        for row in listing.rows(REGISTRY)
        if group in (None, row["group"]) and status in (None, row["status"])
    ]
    return {
        "features": rows,
        "count": {kind: found for kind in STATUSES if (found := sum(row["status"] == kind for row in rows))},
        "prebuilt": PREBUILT.names,
        "fingerprint": PREBUILT.fingerprint(),
    }


@features.command("show")
@click.argument("name")
def show_feature(name: str) -> dict[str, Any]:
    """Show one definition: formula, unit, range, time to live, where it comes from, and what evaluators compute."""
    try:
        return listing.shown(REGISTRY, name)
    except DefinitionError as error:
        raise click.BadParameter(str(error), param_hint="NAME") from None


@features.command("select")
@click.argument("names", nargs=-1, required=True)
@click.option(
    "--out", type=_FILE, required=True, help="JSON file to write, for the --spec of other commands."
)
def select_features(names: tuple[str, ...], out: Path) -> dict[str, Any]:
    """Write a feature spec of the computed features NAMES, in their order."""
    try:
        spec = REGISTRY.select(names)
    except DefinitionError as error:
        raise click.BadParameter(str(error), param_hint="NAMES") from None
    write_atomically(out, canonical_json(spec.to_json()))
    return {"out": str(out), "features": spec.names, "fingerprint": spec.fingerprint()}


@features.command("compat")
@click.argument("old", type=_FILE)
@click.argument("new", type=_FILE, required=False)
def compare_specs(old: Path, new: Path | None) -> dict[str, Any]:
    """Compare the released feature_spec.json OLD with NEW (or the prebuilt features), and fail if something breaks.

    A released definition is never changed in place: whoever trained on it would get other numbers under its name.
    """
    return checked_compat(read_spec(old), PREBUILT if new is None else read_spec(new), str(old))


def checked_compat(old: FeatureSpec, new: FeatureSpec, name: str) -> dict[str, Any]:
    """Every difference between ``old``, which is called ``name``, and ``new``.

    Raises:
        CompatError: one of them breaks.
    """
    from feature_spec.compat import compat

    differences = compat(old, new)
    breaking = [item for item in differences if item.breaks]
    report = {"breaks": len(breaking), "differences": [item.to_json() for item in differences]}
    if breaking:
        more = f" (and {len(breaking) - 1} more)" if breaking[1:] else ""
        raise CompatError(f"{name}: {breaking[0].sentence}{more}", report)
    return report


@features.command("compute")
@data_options
@click.option(
    "--requests",
    type=_FILE,
    help="Instants to look back from, instead of one cut-off day: CSV or Parquet with user_id, as_of, and optionally "
    "goal_id, zone and what is known besides. Nothing later than as_of counts.",
)
@click.option(
    "--engine",
    type=click.Choice(["numpy", *ENGINES]),
    help="Where to compute; duckdb with --requests, else numpy by default. All give the same numbers.",
)
@click.option(
    "--spec",
    type=_FILE,
    help="A feature spec (JSON), as 'edge features select' writes or a trained model has; default the prebuilt ones.",
)
@click.option(
    "--memory-gib",
    type=click.FloatRange(min=0.1, max=65_536),
    callback=number,
    default=3.0,
    show_default=True,
    help="What an engine may hold in memory before it uses the disk.",
)
@click.option(
    "--out",
    type=_FILE,
    required=True,
    help="CSV or .parquet file to write: a row a user or request, a column a feature.",
)
def compute_features(
    data: DataFiles | None,
    cutoff_days: tuple[int, ...],
    zone: str,
    requests: Path | None,
    engine: str | None,
    spec: Path | None,
    memory_gib: float,
    out: Path,
) -> dict[str, Any]:
    """Compute features of every user of a log, or of every row of --requests."""
    if data is None:
        raise click.UsageError("Missing option '--events'.")
    if len(cutoff_days) > 1:
        raise click.UsageError("Give one --cutoff-day: the file has one row a user.")
    for path in (data.events, data.labels, data.assessments, data.users, data.mapping, requests, spec):
        if path is not None and os.path.realpath(path) == os.path.realpath(out):
            raise DataError(f"--out {out} is the file that is read; choose another name")
    cutoff_day = cutoff_days[0] if cutoff_days else None
    chosen = PREBUILT if spec is None else read_spec(spec)
    engine_name = engine or "duckdb"
    if requests is not None:
        if cutoff_days or data != DataFiles(data.events) or engine == "numpy":
            raise click.UsageError(
                "--requests goes with --events, --zone and --engine duckdb or spark: its rows say what is known."
            )
        from feature_spec.warehouse import command

        content, told = command.for_requests(
            chosen, engine_name, memory_gib, data.events, requests, zone, out
        )
    elif engine in ENGINES or is_parquet(out):
        from feature_spec.warehouse import command

        content, told = command.for_cutoff(chosen, engine_name, memory_gib, data, cutoff_day, zone, out)
    else:
        content, told = _computed_here(chosen, data, cutoff_day, zone)
    write_atomically(out, content)
    return {"out": str(out), "features": chosen.names, **told}


def _computed_here(
    spec: FeatureSpec, data: DataFiles, cutoff_day: int | None, zone: str
) -> tuple[bytes, dict[str, Any]]:
    refuse_names(spec, ("user_id",))
    snapshot = load(data, zone).snapshot(cutoff_day)
    values = evaluate(spec, snapshot.daily, snapshot.context)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["user_id", *spec.names])
    # Nine digits read back to the same float32.
    writer.writerows(
        [user, *(f"{x:.9g}" for x in row)] for user, row in zip(snapshot.users, values, strict=True)
    )
    told = {"users": len(snapshot.users), "engine": "numpy", "notices": snapshot.notices}
    return text.getvalue().encode("utf-8"), told


@features.command("check")
@data_options
@click.option(
    "--threshold",
    type=float,
    callback=share,
    default=0.95,
    show_default=True,
    help="Score from 0 to 1 below which the command fails.",
)
@click.option(
    "--as-of",
    metavar="INSTANT",
    help="RFC 3339 instant for which the data is meant to be fresh; without it the age of the log is not judged.",
)
@click.option("--html", "page", type=_FILE, help="Write the report as one HTML page that needs nothing else.")
def check_data(
    data: DataFiles | None,
    cutoff_days: tuple[int, ...],
    zone: str,
    threshold: float,
    as_of: str | None,
    page: Path | None,
) -> dict[str, Any]:
    """Judge whether data is fit to learn from: complete, consistent, accurate, timely.

    Fails below the threshold and names the worst finding. --cutoff-day plays no part: the whole log is judged.
    """
    from feature_spec.quality.command import check

    if data is None:
        raise click.UsageError("Missing option '--events'.")
    return check(data, zone, threshold=threshold, as_of=as_of, page=page)


@features.command("vectors")
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    required=True,
    help="Folder to write the golden vectors of the day input to.",
)
def write_vectors(out: Path) -> dict[str, Any]:
    """Write the golden vectors of the day input, with the feature values that follow from them."""
    from feature_spec.vectors import vector_files

    files = vector_files()
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"{out}: cannot be made ({error.strerror}); choose another --out") from error
    released = out / "feature_spec.json"
    if released.exists():
        # What is there may be released: it is not changed in place, and not by accident either.
        checked_compat(read_spec(released), PREBUILT, str(released))
    for name, content in files.items():
        write_atomically(out / name, content)
    return {"out": str(out), "files": sorted(files)}


@features.command("codegen")
@click.option("--lang", type=click.Choice(sorted(LANGUAGES)), required=True, help="Language of the app.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    required=True,
    help="File to write, or an existing folder for it.",
)
@click.option("--spec", type=_FILE, help="The feature_spec.json of a model; default the prebuilt features.")
@click.option("--check", is_flag=True, help="Write nothing; fail if the file is not what would be written.")
def generate_code(lang: str, out: Path, spec: Path | None, check: bool) -> dict[str, Any]:
    """Write the source of day input and features for an app: types, constants, rules, evaluator."""
    chosen = PREBUILT if spec is None else read_spec(spec)
    path = out / LANGUAGES[lang].file if out.is_dir() else out
    content = generate(chosen, lang).encode("utf-8")
    if not check:
        write_atomically(path, content)
    elif not path.is_file() or path.read_bytes() != content:
        raise DataError(f"{path}: not what this spec gives; run the same command without --check")
    return {
        "out": str(path),
        "language": lang,
        "features": len(chosen.features),
        "spec": chosen.fingerprint(),
    }


def write_atomically(path: Path, content: bytes) -> None:
    """Write ``content`` to ``path``, all of it or nothing.

    Raises:
        DataError: the file cannot be written.
    """
    try:
        write_whole(path, content)
    except OSError as error:
        raise DataError(f"{path}: cannot be written ({error.strerror}); choose another --out") from error
