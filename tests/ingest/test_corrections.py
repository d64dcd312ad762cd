"""Who may correct what, and what is refused with a clear sentence."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from enpilot.database import connect
from ingest.corrections import Proposal, approve, find_series, propose, reject, revoke
from ingest.errors import CorrectionError
from tests.imported import apply_plant, import_counts
from tests.ingest.gateway import PLANT

QUARTER = dt.timedelta(minutes=15)
DAY = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)
SUB = """
[[point]]
code = "oven"
name = {zh = "炉", en = "Oven"}
medium = "electricity"
role = "sub"
"""


@pytest.fixture
def works(tmp_path: Path, postgres_url: str) -> str:
    apply_plant(postgres_url, tmp_path, PLANT + SUB)
    times = [DAY + i * QUARTER for i in range(5)]
    import_counts(postgres_url, tmp_path, times, [0, 10, 20, 30, 40])
    import_counts(postgres_url, tmp_path, times, [0, 10, 20, 30, 40], point="oven")
    return postgres_url


def propose_for(
    url: str,
    point: str,
    kind: Any,
    since: dt.datetime = DAY,
    until: dt.datetime | None = DAY + QUARTER,
    detail: Mapping[str, Any] | None = None,
    **other: str,
) -> Any:
    with connect(url, "test", autocommit=True) as connection:
        series = find_series(connection, "works", point, "active_energy", "total")
        said = {"evidence": "photo 3", "author": "wang", "reason": "stuck"} | other
        return propose(connection, Proposal(series, kind, since, until, detail or {}, **said))


def test_a_boundary_point_needs_two_people(works: str) -> None:
    proposed = propose_for(works, "main", "void")
    assert "boundary_point" in proposed.second_person
    with connect(works, "test", autocommit=True) as connection:
        with pytest.raises(CorrectionError, match="somebody else than wang"):
            approve(connection, proposed.correction_id, "wang", "I am sure")
        assert not approve(connection, proposed.correction_id, "li", "seen")
        with pytest.raises(CorrectionError, match="decided already"):
            reject(connection, proposed.correction_id, "li", "no")
        assert connection.execute(
            "SELECT state, approver, self_approved FROM correction_state"
        ).fetchall() == [("in_force", "li", False)]


def test_a_plant_of_one_person_says_so_and_so_do_its_corrections(
    works: str, tmp_path: Path
) -> None:
    alone = PLANT.replace(
        'timezone = "Asia/Shanghai"', 'timezone = "Asia/Shanghai"\nself_approval = true'
    )
    apply_plant(works, tmp_path, alone + SUB)
    proposed = propose_for(works, "main", "void")
    with connect(works, "test", autocommit=True) as connection:
        assert approve(connection, proposed.correction_id, "wang", "only me here")
        assert connection.execute("SELECT self_approved FROM correction_state").fetchall() == [
            (True,)
        ]


def test_a_month_of_which_nothing_is_known_needs_two_people(works: str) -> None:
    assert propose_for(works, "oven", "void").second_person == ["share_of_month"]


def test_a_factor_needs_two_people(works: str) -> None:
    proposed = propose_for(works, "oven", "meaning", detail={"ratio": "60"})
    assert proposed.second_person == ["factor"]


@pytest.mark.parametrize(
    ("kind", "since", "until", "detail", "sentence"),
    [
        ("void", DAY, DAY, {}, "is not after"),
        ("void", DAY, None, {}, "give the end of the span"),
        ("void", DAY - 9 * QUARTER, DAY - 8 * QUARTER, {}, "no reading in that span"),
        ("replace", DAY + QUARTER / 9, DAY + QUARTER, {"raw": "1"}, "batches with one: none"),
        ("replace", DAY, DAY + QUARTER, {"raw": "1.5"}, "no count of this register"),
        ("replace", DAY, DAY + QUARTER, {"raw": "NaN"}, "not a decimal number"),
        ("substitute", DAY + dt.timedelta(minutes=1), DAY + QUARTER, {}, "not on a quarter hour"),
        ("substitute", DAY, DAY + QUARTER, {"amount": "1", "unit": "m3"}, "no unit 'm3'"),
        ("substitute", DAY, DAY + QUARTER, {"amount": "x", "unit": "kWh"}, "amount: 'x'"),
        ("meaning", DAY, None, {}, "say what is different"),
        ("meaning", DAY, None, {"colour": "red"}, "no 'colour'"),
        ("meaning", DAY, None, {"ratio": "0"}, "zero would take all energy away"),
        ("meaning", DAY, None, {"raw_type": "uint16"}, "other registers than uint32"),
        ("meaning", DAY - 9 * QUARTER, DAY - QUARTER, {"ratio": "2"}, "no meaning in that span"),
    ],
)  # fmt: skip
def test_what_cannot_take_effect_is_refused_with_its_reason(
    works: str,
    kind: str,
    since: dt.datetime,
    until: dt.datetime | None,
    detail: dict[str, str],
    sentence: str,
) -> None:
    with pytest.raises(CorrectionError, match=sentence):
        propose_for(works, "oven", kind, since, until, detail)
    with connect(works, "test") as connection:
        assert connection.execute("SELECT count(*) FROM correction").fetchall() == [(0,)]


def test_without_evidence_nothing_is_proposed(works: str) -> None:
    with pytest.raises(CorrectionError, match="evidence"):
        propose_for(works, "oven", "void", evidence=" ")


def test_two_substitutions_of_one_span_do_not_both_hold(works: str) -> None:
    said = {"amount": "1", "unit": "kWh"}
    first, second = (propose_for(works, "oven", "substitute", detail=said) for _ in range(2))
    with connect(works, "test", autocommit=True) as connection:
        approve(connection, first.correction_id, "li", "seen")
        with pytest.raises(CorrectionError, match="overlaps another substitution"):
            approve(connection, second.correction_id, "li", "seen")
        revoke(connection, first.correction_id, "li", "the other one is right")
        approve(connection, second.correction_id, "li", "seen")
        assert connection.execute(
            "SELECT state FROM correction_state ORDER BY correction_id"
        ).fetchall() == [("revoked",), ("in_force",)]


def test_an_unknown_series_is_named_with_those_that_there_are(works: str) -> None:
    with connect(works, "test", autocommit=True) as connection:
        with pytest.raises(CorrectionError, match="there are: active_energy total"):
            find_series(connection, "works", "oven", "water", "total")
        with pytest.raises(CorrectionError, match="no point 'cellar'"):
            find_series(connection, "works", "cellar", "active_energy", "total")


def test_a_human_ratio_survives_a_plant_file_that_changes_something_else(
    works: str, tmp_path: Path
) -> None:
    proposed = propose_for(works, "main", "meaning", detail={"ratio": "60"}, until=None)
    with connect(works, "test", autocommit=True) as connection:
        approve(connection, proposed.correction_id, "li", "seen")
    apply_plant(works, tmp_path, PLANT.replace('en = "Main"', 'en = "Feeder"') + SUB)
    with connect(works, "test") as connection:
        assert connection.execute(
            "SELECT e.ratio::int FROM series_epoch e JOIN series USING (series_id)"
            " JOIN point USING (point_id) WHERE code = 'main' AND superseded_commit_no IS NULL"
        ).fetchall() == [(60,)]
