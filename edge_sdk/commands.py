"""``edge fetch``, ``edge predict``, ``edge status`` and ``edge erase``; each returns what is to be printed."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from edge_sdk.crypto.options import credential_option
from edge_sdk.errors import EdgeError, InputError, NotAvailable, RetryLater, VerificationError

if TYPE_CHECKING:
    from edge_sdk.client import EdgeClient
    from edge_sdk.crypto.credentials import Credential
    from edge_sdk.loading import Progress

ENGINES: Final = ("litert", "onnxruntime")
LEVELS: Final = ("quick", "sampled", "full")
POLICIES: Final = ("local", "background", "latest")

_PATIENCE_MS: Final = 60_000.0
"""A person at a terminal waits for the value; the deadline and the fallback are for apps."""

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
CACHE_OPTION = click.option(
    "--cache",
    type=click.Path(file_okay=False, path_type=Path),
    required=True,
    help="Folder that holds the models.",
)
ENGINE_OPTION = click.option(
    "--engine",
    type=click.Choice(ENGINES),
    default=ENGINES[0],
    show_default=True,
    help="What runs the model.",
)


@click.command()
@click.argument("name")
@click.option("--server", required=True, metavar="URL", help="Server to fetch from.")
@click.option(
    "--root", type=_FILE, required=True, help="root.json that the app ships; all trust begins there."
)
@click.option(
    "--mirror",
    "mirrors",
    multiple=True,
    metavar="URL",
    help="Another server with the same bundles, asked where the first one fails; may be given several times.",
)
@CACHE_OPTION
@click.option("--channel", default="stable", show_default=True, help="Channel whose releases to follow.")
@click.option(
    "--policy",
    type=click.Choice(POLICIES),
    default="latest",
    show_default=True,
    help="local: no network; background: as an app would while in use, only where the network is unmetered; "
    "latest: now.",
)
@click.option("--unmetered", is_flag=True, help="This network is unmetered; unknown counts as metered.")
@credential_option
@ENGINE_OPTION
def fetch(
    name: str,
    server: str,
    root: Path,
    mirrors: tuple[str, ...],
    cache: Path,
    channel: str,
    policy: str,
    unmetered: bool,
    credential: Credential | None,
    engine: str,
) -> dict[str, Any]:
    """Bring the model NAME into a cache: verified, proven on its golden cases, active.

    The exit status is 0 where a model is there to predict with, even if nothing new came, as without a network.
    The line 'status' says what happened.
    """
    from edge_sdk.client import EdgeClient
    from edge_sdk.update.policy import Conditions, UpdatePolicy, UpdateStatus

    chosen = UpdatePolicy(policy)
    conditions = Conditions(
        unmetered=unmetered or None,
        require_unmetered=chosen is UpdatePolicy.LOCAL_UPDATE_IN_BACKGROUND,
    )
    trusted = root.read_bytes()
    try:
        with EdgeClient.open(cache, server, trusted, channel, credential, engine, mirrors=mirrors) as client:
            done = client.update(name, chosen, conditions, _progress())
            done = client.wait().get(name, done)
            active = client.status()["models"].get(name, {}).get("active")
    except KeyboardInterrupt:
        kept = f"{name}: stopped; what came is kept, and the same command goes on from there"
        raise KeyboardInterrupt(kept) from None
    if done.status is UpdateStatus.FAILED or active is None:
        kind: type[EdgeError] = (
            RetryLater if done.status in (UpdateStatus.OFFLINE, UpdateStatus.POSTPONED) else NotAvailable
        )
        raise kind(f"{name} was not fetched ({done.status.value}): {done.detail or 'it is not installed'}")
    return {
        "model": name,
        "status": done.status.value,
        "detail": done.detail,
        **active,
        **({"not_renewed": list(done.not_renewed)} if done.not_renewed else {}),
        "cache": str(cache),
    }


@click.command()
@click.argument("name")
@CACHE_OPTION
@click.option(
    "--input",
    "given",
    required=True,
    metavar="JSON|CSV",
    help="Features: a JSON object or list of objects, a file of those or of CSV with a header (a column 'id' or "
    "'user_id' is carried along), or - for stdin.",
)
@click.option(
    "--replay",
    "export",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write a replay record of each prediction to this file, for 'edge replay'. It holds the features.",
)
@credential_option
@ENGINE_OPTION
def predict(
    name: str, cache: Path, given: str, export: Path | None, credential: Credential | None, engine: str
) -> dict[str, Any]:
    """Predict with the active model NAME, offline."""
    from edge_sdk.client import EdgeClient
    from edge_sdk.reading_rows import read_rows

    text, source = _given(given)
    with EdgeClient.open(cache, credential=credential, engine=engine) as client:
        model = client.model(name)
        rows = read_rows(text, source, [feature.name for feature in model.record.features])
        predictions: list[dict[str, Any]] = []
        records: list[bytes] = []
        for row in rows:
            try:
                made = model.predict(row.features, deadline_ms=_PATIENCE_MS)
            except InputError as error:
                raise InputError(f"{source}: row {row.number}: {error}") from error
            label = {} if row.id is None else {"id": row.id}
            predictions.append({**label, **_plain(made._asdict())})
            if export is not None:
                records.append(model.replay_record(made, row.features).to_bytes())
    if export is not None:
        from feature_spec.files import write_whole

        try:
            write_whole(export, b"".join(record + b"\n" for record in records))
        except OSError as error:
            raise InputError(
                f"cannot write {export}: {error.strerror}; name another file with --replay"
            ) from error
    return {
        "model": name,
        "model_version": model.record.model_version,
        "release": model.release,
        "engine": engine,
        "predictions": predictions,
    }


@click.command()
@CACHE_OPTION
@click.option(
    "--verify",
    "level",
    type=click.Choice(LEVELS),
    help="Fail if a bundle is damaged. quick: its length; sampled: a few segments of each, too; full: every byte.",
)
def status(cache: Path, level: str | None) -> dict[str, Any]:
    """What a cache holds: models, releases, high-water marks."""
    from edge_sdk.client import EdgeClient

    with EdgeClient.open(cache) as client:
        found = client.status()
        if level is not None:
            found["verified"] = _verified(client, level)
    # These belong to a running client and say nothing about a folder.
    aside = ("background", "baselines", "channel", "health", "not_renewed")
    del found["telemetry"]["latest_upload"]
    found["features"] = {key: found["features"][key] for key in ("users", "bytes", "dropped")}
    return {key: value for key, value in found.items() if key not in aside}


@click.command()
@CACHE_OPTION
@click.option("--user", metavar="ID", help="All that was recorded and told of this user; the models stay.")
@click.option(
    "--models", "scope", flag_value="models", help="All models, and what is known of their failures."
)
@click.option(
    "--all", "scope", flag_value="all", help="The models, all users, and the install id, which is made anew."
)
def erase(cache: Path, user: str | None, scope: str | None) -> dict[str, Any]:
    """Erase a cache; what protects the device from being rolled back stays."""
    from edge_sdk.client import EdgeClient
    from edge_sdk.contract import identifiers
    from edge_sdk.erasing import EraseScope

    if (scope is None) == (user is None):
        raise click.UsageError("say what to erase: --user ID, --models or --all")
    with EdgeClient.open(cache) as client:
        done = client.erase(EraseScope(scope or "user"), user=user)
    return {
        "scope": done.scope.value,
        "finished": identifiers.format_time(done.finished),
        "models": list(done.models),
        "files": done.files,
        "bytes": done.bytes,
        "cache": str(cache),
    }


def _verified(client: EdgeClient, level: str) -> dict[str, Any]:
    from edge_sdk.store.verifying import VerifyLevel

    findings = client.verify(VerifyLevel(level))
    bad = [f"{x.artifact.path} ({x.role}): {x.problem}" for x in findings if not x.ok]
    if bad:
        raise VerificationError(f"{'; '.join(bad)}; 'edge fetch' repairs what is active")
    return {
        "level": level,
        "bundles": len(findings),
        "segments": sum(finding.segments for finding in findings),
    }


def _given(given: str) -> tuple[str, str]:
    if given.lstrip()[:1] in ("{", "["):
        return given, "--input"
    source = "stdin" if given == "-" else given
    if given == "-" and sys.stdin is None:
        raise InputError("cannot read stdin: it is closed")
    try:
        return sys.stdin.read() if given == "-" else Path(given).read_text("utf-8"), source
    except OSError as error:
        raise InputError(f"cannot read {source}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"cannot read {source}: it is not UTF-8 text") from error
    except ValueError as error:  # a name that no file can have
        raise InputError(f"cannot read {source!r}: {error}") from error


def _progress() -> Progress | None:
    context = click.get_current_context(silent=True)
    found: Progress | None = None if context is None else context.obj
    return found


def _plain(value: dict[str, Any]) -> dict[str, Any]:
    lists = {key: list(value[key]) for key in ("risk_factors", "actions", "filled")}
    return {**value, "reason": value["reason"].value, **lists}
