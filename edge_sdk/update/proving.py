"""Promotion on proof: a child process tries the model out before this one loads it."""

from __future__ import annotations

from edge_sdk.contract import bundle
from edge_sdk.contract.manifest import Artifact
from edge_sdk.contract.record import Budgets, BundleContent
from edge_sdk.errors import EdgeError, VerificationError
from edge_sdk.loading import Progress
from edge_sdk.runtime.engine import Engine
from edge_sdk.runtime.trial import TrialReport, TrialUnavailable, try_out


def prove_apart(
    content: BundleContent, artifact: Artifact, engine: str | Engine, progress: Progress
) -> TrialReport | None:
    """Load the model in a child process, answer its golden cases twice, and judge what it cost.

    Args:
        content: the opened bundle.
        artifact: what it is, for messages.
        engine: its name; an engine of the app's own cannot be sent to another process.
        progress: told the stage ``try``.

    Returns:
        What the model showed; None where no child process can do it: then the app's own process is the first
        to load it, and the state remembers that it tried (:mod:`edge_sdk.store.trying`).

    Raises:
        ModelCrashed: it killed the child, or took more than a trial may.
        VerificationError: an answer is wrong, or it costs more than its record promises.
        UpdateRequired: it needs a newer engine.
    """
    record = content.record
    if not isinstance(engine, str) or record.target in bundle.FOLDERS:
        return None
    progress("try", 0, 1)
    try:
        report = try_out(
            bytes(content.payload[record.payload]),
            engine,
            state=record.state,
            cases=bytes(content.files[bundle.GOLDEN_NAME]),
            tolerances=record.tolerances,
        )
    except TrialUnavailable:
        return None
    except EdgeError as error:
        raise type(error)(f"{artifact.path}: {error}") from error
    check_budgets(report, record.budgets, artifact.path)
    progress("try", 1, 1)
    return report


def check_budgets(report: TrialReport, budgets: Budgets, path: str) -> None:
    """Refuse a model that costs more on this device than its record promises.

    The median of its runs is judged by the budget of the 99th percentile: a trial takes place on a device that may
    be busy with something else, and must not condemn a model for that.

    Raises:
        VerificationError: it does.
    """
    for what, cost, budget, unit in (
        ("loading took", report.load_ms, budgets.load_ms, "ms"),
        ("a run takes", report.run_ms_p50, budgets.p99_ms, "ms"),
        ("a session needs", report.memory_bytes / 1e6, budgets.session_bytes / 1e6, "MB"),
    ):
        if cost > budget:
            raise VerificationError(
                f"{path}: {what} {cost:.3g} {unit} on this device, and its budget is {budget:.3g} {unit}; "
                "publish a smaller model, or another budget"
            )
