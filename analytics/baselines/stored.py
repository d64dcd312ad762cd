"""Fitted models in the database: frozen, versioned, kept (F18)."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import msgspec
import numpy as np
import psycopg
from psycopg.types.json import Jsonb

from analytics.baselines.declared import DeclaredBaseline
from analytics.baselines.model import BaselineModel
from analytics.baselines.selection import Selection, select_model
from analytics.baselines.validity import Usability, ValidityTest, judge_model, verdict_of
from analytics.errors import BaselineError, ModelFault

__all__ = ["StoredModel", "TrainingPeriod", "current_model", "fit_if_changed"]


@dataclass(frozen=True, slots=True)
class TrainingPeriod:
    """A period of a training window; None where something is not known."""

    first: dt.date
    energy: float | None
    variables: Mapping[str, float | None]
    synthetic: bool

    @property
    def known(self) -> bool:
        """Whether it can be trained on."""
        return self.energy is not None and None not in self.variables.values()


@dataclass(frozen=True, slots=True)
class StoredModel:
    """A version of a baseline's model.

    ``model`` is None if ``fault`` says why there is none; ``reasons`` are the codes of what failed.
    """

    model_id: int
    version: int
    usability: Usability
    reasons: tuple[str, ...]
    fault: ModelFault | None
    model: BaselineModel | None
    energy_unit: str
    period_kind: str

    @property
    def predicts(self) -> BaselineModel | None:
        """The model where it may be used, weak or usable; None where it must not."""
        return None if self.usability is Usability.UNUSABLE else self.model


def current_model(connection: psycopg.Connection[Any], baseline_id: int) -> StoredModel | None:
    """Return the version of a baseline's model that counts now.

    Parameters
    ----------
    connection
        To the database.
    baseline_id
        The baseline.

    Returns
    -------
    StoredModel or None
        None before the first fit.
    """
    found = _current(connection, baseline_id)
    return None if found is None else found[0]


def _current(
    connection: psycopg.Connection[Any], baseline_id: int
) -> tuple[StoredModel, bytes] | None:
    row = connection.execute(
        "SELECT model_id, version, usability, reasons, fault, model, energy_unit, period_kind,"
        " training_sha256 FROM baseline_model WHERE baseline_id = %s"
        " AND superseded_version IS NULL",
        (baseline_id,),
    ).fetchone()
    if row is None:
        return None
    number, version, usability, reasons, fault, model, unit, kind, digest = row
    stored = StoredModel(
        number, version, Usability(usability), tuple(reasons),
        None if fault is None else ModelFault(fault),
        None if model is None else msgspec.convert(model, BaselineModel), unit, kind,
    )  # fmt: skip
    return stored, bytes(digest)


def fit_if_changed(
    connection: psycopg.Connection[Any],
    site_id: int,
    baseline: DeclaredBaseline,
    training: Sequence[TrainingPeriod],
    *,
    whole: bool,
    version: int,
) -> StoredModel:
    """Return the frozen model, or fit it anew if its training data or its declaration changed.

    Parameters
    ----------
    connection
        Inside the site's transaction.
    site_id, baseline
        Whose model.
    training
        Every period of the window, in order.
    whole
        Whether the window is over: before that there is no model.
    version
        Data version that the new row names, and from which the old one does not count.

    Returns
    -------
    StoredModel
        The version that counts now; without a model if none can be fitted.
    """
    digest = _digest(baseline, training, whole=whole)
    held = _current(connection, baseline.baseline_id)
    if held is not None and held[1] == digest:
        return held[0]
    selection: Selection | None = None
    tests: tuple[ValidityTest, ...] = ()
    fault: BaselineError | None = None
    known = [p for p in training if p.known]
    try:
        selection = _fit(baseline, training, whole=whole)
        tests = judge_model(
            selection, missing_share=1 - len(known) / len(training),
            signs={v.code: v.sign for v in baseline.variables},
        )  # fmt: skip
    except BaselineError as error:
        fault = error
    usability = Usability.UNUSABLE if fault is not None else verdict_of(tests)
    reasons = [fault.fault.value] if fault is not None else [
        f"{t.code.value}:{t.about}" if t.about else t.code.value for t in tests if not t.passed
    ]  # fmt: skip
    connection.execute(
        "UPDATE baseline_model SET superseded_version = %s WHERE baseline_id = %s"
        " AND superseded_version IS NULL",
        (version, baseline.baseline_id),
    )
    row = {
        "site_id": site_id,
        "baseline_id": baseline.baseline_id,
        "version": _last_version(connection, baseline.baseline_id) + 1,
        "training_sha256": digest,
        "training_from": baseline.training_from,
        "training_to": baseline.training_to,
        "period_kind": baseline.period_kind,
        "energy_unit": baseline.energy_unit,
        "usability": usability.value,
        "reasons": reasons,
        "fault": None if fault is None else fault.fault.value,
        "fault_sentence": None if fault is None else str(fault),
        "missing": [p.first for p in training if not p.known],
        "synthetic": any(p.synthetic for p in training),
        "data_version": version,
        **_statistics(selection, tests, known),
    }
    connection.execute(
        f"INSERT INTO baseline_model ({', '.join(row)}) VALUES ({', '.join(['%s'] * len(row))})",
        list(row.values()),
    )
    found = current_model(connection, baseline.baseline_id)
    assert found is not None  # inserted above
    return found


def _last_version(connection: psycopg.Connection[Any], baseline_id: int) -> int:
    row = connection.execute(
        "SELECT coalesce(max(version), 0) FROM baseline_model WHERE baseline_id = %s",
        (baseline_id,),
    ).fetchone()
    assert row is not None  # an aggregate has a row
    return int(row[0])


def _fit(
    baseline: DeclaredBaseline, training: Sequence[TrainingPeriod], *, whole: bool
) -> Selection:
    if not whole:
        raise BaselineError(
            ModelFault.WINDOW_INCOMPLETE,
            f"the training window until {baseline.training_to} is not over",
        )
    known = [(i, p) for i, p in enumerate(training) if p.known]
    if not known:
        raise BaselineError(
            ModelFault.TOO_FEW_POINTS, "no period of the training window is known as a whole"
        )
    return select_model(
        baseline.forms(),
        np.array([p.energy for _, p in known], dtype=np.float64),
        {c: np.array([p.variables[c] for _, p in known], dtype=np.float64) for c in baseline.codes},
        block=baseline.block,
        places=[i for i, _ in known],
    )


def _statistics(
    selection: Selection | None, tests: Sequence[ValidityTest], known: Sequence[TrainingPeriod]
) -> dict[str, object]:
    if selection is None:
        return {"outliers": []}
    model, r = selection.model, selection.model.regression
    return {
        "outliers": [known[i].first for i in r.outliers],
        "form": str(model.form),
        "points": r.n,
        "parameters": r.parameters,
        "r_squared": r.r_squared,
        "adjusted_r_squared": r.adjusted_r_squared,
        "f": r.f,
        "f_p": r.f_p,
        "s": r.s,
        "cv_rmse": r.cv_rmse,
        "cv_rmse_left_out": selection.cv_rmse_left_out,
        "durbin_watson": r.durbin_watson,
        "autocorrelation": r.autocorrelation,
        "coefficients": Jsonb([asdict(c) for c in r.coefficients]),
        "tests": Jsonb([asdict(t) for t in tests]),
        "tried": Jsonb(
            [
                {
                    "form": str(t.form),
                    "parameters": t.parameters,
                    "cv_rmse_left_out": t.cv_rmse_left_out,
                    "fault": t.fault,
                }
                for t in selection.tried
            ]
        ),
        "model": Jsonb(msgspec.to_builtins(model)),
    }


def _digest(
    baseline: DeclaredBaseline, training: Sequence[TrainingPeriod], *, whole: bool
) -> bytes:
    """Hash what a model depends on, number by number to the last bit."""
    said = asdict(baseline)
    for key in ("baseline_id", "code", "whole_site"):
        del said[key]  # of no consequence for the fit
    seen = [[p.first.isoformat(), p.energy, dict(p.variables), p.synthetic] for p in training]
    text = json.dumps([said, seen, whole], sort_keys=True, default=str, allow_nan=False)
    return hashlib.sha256(text.encode()).digest()
