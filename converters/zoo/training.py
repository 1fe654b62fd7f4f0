"""From a dataset to a trained model: table, people set aside, evaluation, final fit, record."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from converters.errors import ConverterError, DataQualityError, UnsupportedError
from converters.zoo.catalogue import ZooModel, find
from converters.zoo.folds import Split, set_aside
from converters.zoo.goal_success.evaluate import Predictions, cross_predict, measure
from converters.zoo.goal_success.fit import EnsembleFitter
from converters.zoo.goal_success.settings import Settings
from converters.zoo.model_dir import TrainedModel
from converters.zoo.population import PopulationSettings, synthesise
from converters.zoo.progress import Progress, silent
from converters.zoo.table import Table, concatenate
from converters.zoo.training_record import DataSummary, HeldOut, TrainingRecord
from feature_spec.dataset import DataFiles, Dataset, load
from feature_spec.definition import FeatureSpec
from feature_spec.numpy_evaluator import evaluate
from feature_spec.prebuilt import PREBUILT
from feature_spec.quality import THRESHOLD, Log, Report, Subject, judge
from feature_spec.quality.reading import read_subject

NO_CUTOFF = "none"
_QUANTILES = (np.arange(20) + 0.5) / 20
"""Enough to draw rows that look like the data; neither end is one person's value, as smallest and largest are."""
_STREAMS = ("population", "set_aside", "evaluate", "bootstrap", "fit")


@dataclass(frozen=True, eq=False)
class TrainingData:
    """A dataset, at which days to look at it, and where it comes from.

    Attributes:
        dataset: Events, people and labels.
        cutoff_days: Days of each user at whose end to predict; empty for the end of the log.
        source: ``synthetic`` or ``files``.
        licence: Of the data, in words.
        sha256: Digest of each file by name.
        quality: How the files were judged; None for data in memory, which is judged by what it still shows.
    """

    dataset: Dataset
    cutoff_days: tuple[int, ...] = ()
    source: str = "files"
    licence: str = "not stated"
    sha256: Mapping[str, str] = field(default_factory=dict)
    quality: Report | None = None


@dataclass(frozen=True, eq=False)
class Training:
    """The trained model and the rows it came from, which stay in memory and are not saved.

    Attributes:
        model: What `save_model` writes.
        table: All rows.
        split: ``train``: rows fitted and measured on; ``test``: those of the persons set aside.
        predictions: What was said about each row of ``split.train`` without its person.
    """

    model: TrainedModel
    table: Table
    split: Split
    predictions: Predictions


def synthetic_data(
    seed: int, cutoff_days: tuple[int, ...] = (), settings: PopulationSettings | None = None
) -> TrainingData:
    """The synthetic population that a zoo model is trained on by default."""
    population = synthesise(_stream(seed, "population"), settings)
    return TrainingData(
        population.dataset(),
        cutoff_days,
        source="synthetic",
        licence="Apache-2.0 (made by this project's own generator; nobody's data)",
    )


def file_data(
    files: DataFiles, cutoff_days: tuple[int, ...], zone: str, licence: str, now: float | None = None
) -> TrainingData:
    """Data from files, and how good it is.

    Args:
        files: Where they are.
        cutoff_days: Days of each user at whose end to predict.
        zone: IANA zone of users who have none of their own.
        licence: Of the data, in words.
        now: Seconds since 1970; a time stamp after it is a wrong clock. The clock's by default.

    Raises:
        DataError: a file is missing or malformed.
    """
    dataset = load(files, zone)
    paths = [files.events, files.labels, files.assessments, files.users]
    if isinstance(files.mapping, Path) or (isinstance(files.mapping, str) and Path(files.mapping).is_file()):
        paths.append(Path(files.mapping))
    digests = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in paths if path is not None}
    clock = int((time.time() if now is None else now) * 1000)
    quality = judge(read_subject(files, zone, now=clock))
    return TrainingData(dataset, cutoff_days, licence=licence, sha256=digests, quality=quality)


def train(
    name: str,
    data: TrainingData,
    *,
    seed: int,
    settings: Settings | None = None,
    progress: Progress = silent,
    quality_threshold: float = THRESHOLD,
) -> Training:
    """Fit the zoo model ``name``, measured by nested cross-validation.

    1. Features of every labelled user at every cut-off day.
    2. Ten people are set aside: no fit and no metric ever sees them.
    3. Data that scores below ``quality_threshold`` is refused; report and threshold stay with the model.
    4. Every other row is predicted by an ensemble (and by the control) fitted without its person.
    5. The model that ships is fitted on all rows but those set aside.

    The same data and seed give the same model on the same machine.

    Raises:
        ConverterError: an unknown model, no such label, no events, one outcome only, too few people.
        DataError: nobody was observed at a cut-off day.
        DataQualityError: the data is not fit to learn from.
        MissingExtraError: the extra ``convert`` is not installed.
    """
    zoo = find(name)
    settings = settings or Settings()
    table, notices = build_table(data, zoo)
    split = _split(table, settings, seed)
    quality = _fit_to_learn_from(data, quality_threshold)
    fitted = table.rows(split.train)
    fitter = EnsembleFitter(len(table.feature_names), settings)
    predictions = cross_predict(fitter, fitted, settings.outer_folds, _stream(seed, "evaluate"), progress)
    metrics = measure(fitted, predictions, _stream(seed, "bootstrap"))
    ensemble = fitter.fit(fitted, _stream(seed, "fit"), progress=progress)
    record = TrainingRecord(
        model=zoo.name,
        seed=seed,
        data=_summary(data, fitted, notices),
        metrics={zoo.name: metrics},
        quantiles=np.quantile(fitted.features, _QUANTILES, axis=0).astype(np.float32),
        held_out=_held_out(table.rows(split.test)),
        quality={"score": quality.score, "threshold": quality_threshold},
    )
    model = TrainedModel(ensemble, PREBUILT, record, quality.to_bytes())
    return Training(model, table, split, predictions)


def build_table(
    data: TrainingData, zoo: ZooModel, spec: FeatureSpec = PREBUILT
) -> tuple[Table, tuple[str, ...]]:
    """One row a labelled user and cut-off day, and notices of what was left out.

    Raises:
        ConverterError: no event, no such label, or nobody has a value in it.
        DataError: nobody was observed at a cut-off day.
    """
    dataset = data.dataset
    if not len(dataset.user):
        raise ConverterError("the log has no events of labelled users; nothing can be learned from it")
    if zoo.label not in dataset.people.labels:
        given = ", ".join(sorted(dataset.people.labels)) or "none"
        raise ConverterError(
            f"{zoo.name} learns the label '{zoo.label}', the data has: {given}; "
            "give --labels a file with that column, or map one to it with --mapping"
        )
    notices: list[str] = []
    tables = []
    for cutoff in data.cutoff_days or (None,):
        snapshot = dataset.snapshot(cutoff)
        labels = snapshot.labels[zoo.label]
        known = labels >= 0
        notices += [text for text in snapshot.notices if text not in notices]
        if not known.all():
            notices.append(f"left out {int((~known).sum())} users without a value in '{zoo.label}'")
        rows = Table(
            feature_names=spec.names,
            low=np.array([feature.low for feature in spec.features], np.float32),
            high=np.array([feature.high for feature in spec.features], np.float32),
            features=evaluate(spec, snapshot.daily, snapshot.context),
            labels=(labels == 1).astype(np.float32),
            users=np.array(snapshot.users),
            people=np.array(snapshot.groups),
            cutoffs=np.full(len(labels), NO_CUTOFF if cutoff is None else str(cutoff)),
        )
        tables.append(rows.rows(np.flatnonzero(known)))
    table = concatenate(tables)
    if not len(table):
        raise ConverterError(f"no user has a value in the label '{zoo.label}': 0 or 1 is needed for each")
    return table, tuple(notices)


def _split(table: Table, settings: Settings, seed: int) -> Split:
    """Set people aside, after checking that enough are left of each outcome."""
    for outcome, word in ((1, "reached"), (0, "missed")):
        people = len(np.unique(table.people[table.labels == outcome]))
        need = settings.min_people + settings.held_out_people
        if people < need:
            hint = "the labels hold one class only" if not people else "too few to learn from"
            raise ConverterError(
                f"{people} people {word} the goal, {need} are needed: {hint}; give more data"
            )
    return set_aside(table.people, settings.held_out_people, _stream(seed, "set_aside"))


def _fit_to_learn_from(data: TrainingData, threshold: float) -> Report:
    people = data.dataset.people
    quality = data.quality or judge(Subject(Log.of_dataset(data.dataset), people))
    refusal = quality.refusal(threshold)
    if refusal is not None:
        raise DataQualityError(
            f"{refusal}. `edge features check` shows the rest; a lower --quality-threshold trains all the same"
        )
    return quality


def _summary(data: TrainingData, fitted: Table, notices: tuple[str, ...]) -> DataSummary:
    rows = hashlib.sha256(
        b"".join((fitted.features.tobytes(), fitted.labels.tobytes(), "\n".join(fitted.users).encode()))
    )
    return DataSummary(
        source=data.source,
        sha256=dict(data.sha256) or {"rows": rows.hexdigest()},
        licence=data.licence,
        cutoffs=tuple(dict.fromkeys(fitted.cutoffs.tolist())),
        rows=len(fitted),
        people=len(np.unique(fitted.people)),
        base_rate=float(fitted.labels.mean(dtype=np.float64)),
        notices=notices,
    )


def _held_out(table: Table) -> tuple[HeldOut, ...]:
    return tuple(
        HeldOut(str(table.users[row]), str(table.cutoffs[row]), int(table.labels[row]), table.features[row])
        for row in range(len(table))
    )


def _stream(seed: int, name: str) -> np.random.Generator:
    """A generator of its own for each purpose: more draws for one leave the others as they are."""
    if seed < 0:
        raise UnsupportedError(f"seed {seed}: use 0 or more")
    return np.random.default_rng([seed, _STREAMS.index(name)])
