"""What people ask in the portal: written in their name, done once by the room that owns it."""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Iterator
from typing import Any

import httpx
import psycopg
import pytest
from playwright.sync_api import expect
from starlette.datastructures import FormData

from analytics import desk as analytics_desk
from dashboards.portal.access import grants, links, people
from dashboards.portal.asking import arguments_of
from dashboards.portal.pages.output.entry import output_arguments
from dashboards.portal.pages.output.model import load_output
from dashboards.portal.pages.waste.model import load_waste
from dashboards.portal.site import load_site
from enpilot.database import connect
from enpilot.database.requests import Request, RequestRefusedError, serve_one, serve_requests
from ingest import desk as ingest_desk
from tests.dashboards.test_authorization import MAY
from tests.dashboards.test_browser import browser, visit  # noqa: F401  # fixtures

Connection = psycopg.Connection[Any]


def handlers() -> dict[str, Any]:
    return analytics_desk.handlers() | ingest_desk.handlers()


def ask(
    client: httpx.Client, kind: str, /, site: str = "asked", **arguments: Any
) -> httpx.Response:
    return client.post(f"/api/v1/s/{site}/requests/{kind}?wait=0", json=arguments)


def done(client: httpx.Client, connection: Connection, asked: str, /, **arguments: Any) -> Any:
    """Ask, let a service do it, and return what the asker reads."""
    answer = ask(client, asked, **arguments)
    assert answer.status_code == 202, answer.text
    assert serve_one(connection, handlers())
    return client.get(f"/api/v1/s/asked/requests/{answer.json()['request_id']}").json()


@pytest.fixture(scope="module")
def viewer(portal: str, portal_database: str) -> Iterator[httpx.Client]:
    with connect(portal_database, "test", autocommit=True) as connection:
        person = people.make_person(connection, "looker", "Looker", "test")
        grants.make_grant(
            connection, person, "viewer", grants.find_scope(connection, "site/asked"),
            trade_secrets=False, crew_figures=True, author="test", reason="test",
        )  # fmt: skip
        path = links.make_link(connection, "sign_in", person, "test")
    with httpx.Client(base_url=portal, timeout=20) as client:
        assert client.post(path).status_code == 303
        yield client


def test_a_decision_about_waste_is_kept_under_the_askers_name(
    visitor: httpx.Client, connection: Connection
) -> None:
    site = load_site(connection, "asked")
    assert site is not None
    found = load_waste(connection, site, "open", None).wastes[-1]
    said = done(visitor, connection, "waste.decide", waste=found.waste_id, state="planned",
                reason="new valve ordered")  # fmt: skip
    assert (said["state"], said["asked_by"]) == ("done", "tester")
    page = load_waste(connection, site, "planned", None)
    assert page.evidence is not None
    decision = page.evidence.decisions[0]
    assert (decision.author, decision.reason) == ("tester", "new valve ordered")


def test_output_entered_twice_is_one_entry(visitor: httpx.Client, connection: Connection) -> None:
    span = {"since": "2025-09-05T00:00:00+08:00", "until": "2025-09-05T08:00:00+08:00"}
    entry = {"product": "bar", "line": "l1", "quantity": "4.25", **span}
    key = {"idempotency-key": str(uuid.uuid4())}
    path = "/api/v1/s/asked/requests/output.enter?wait=0"
    first, second = (
        visitor.post(path, json={"entries": [entry]}, headers=key).json() for _ in range(2)
    )
    assert first["request_id"] == second["request_id"]
    assert serve_one(connection, handlers())
    assert not serve_one(connection, handlers())
    again = done(visitor, connection, "output.enter", entries=[entry])
    assert again["outcome"] == {"written": 0, "present": 1, "conflicts": []}
    site = load_site(connection, "asked")
    assert site is not None
    page = load_output(connection, site, "2025-09", None, None, None, edit=False)
    assert page is not None
    assert page.missing == 0
    assert page.cells["2025-09-05|l1|00:00|08:00"].good == "4.25"


def test_a_form_says_what_its_fields_are() -> None:
    sent = FormData(
        [
            ("csrf", "x"), ("arguments.kind", "substitute"), ("arguments.waste:int", "7"),
            ("arguments.accept[]:int", "3"), ("arguments.accept[]:int", "5"),
            ("arguments.detail.amount", "12.5"), ("arguments.hours:json", "2.5"),
            ("arguments.reason", "  "),
        ]
    )  # fmt: skip
    assert arguments_of(sent) == {
        "kind": "substitute", "waste": 7, "accept": [3, 5], "detail": {"amount": "12.5"},
        "hours": 2.5,
    }  # fmt: skip


def test_a_form_with_nonsense_asks_for_nonsense_and_never_fails() -> None:
    assert arguments_of(FormData([("arguments.waste:int", "--5")])) == {"waste": "--5"}
    sent = FormData([("zone", "../x"), ("product", "bar"), ("2025-09-05|l1|00:00|08:00", "1")])
    entry = output_arguments(sent)["entries"][0]
    assert entry["since"] == "2025-09-05T00:00:00"  # without an offset: the service refuses it
    lost = output_arguments(FormData([("zone", "Asia/Shanghai"), ("soon|l1|x|y", "1")]))
    assert lost["entries"][0]["since"] == "soonTx"


def test_what_cannot_be_done_says_why_and_changes_nothing(
    visitor: httpx.Client, connection: Connection
) -> None:
    unknown = done(visitor, connection, "correction.approve", correction=999_999, reason="x")
    assert unknown["state"] == "refused"
    assert "999999" in unknown["refusal"]
    mistaken = done(visitor, connection, "closing.prepare", kind="week", day="2025-09-30")
    assert "`$.kind`" in mistaken["refusal"]
    # A handler that fails in the middle leaves nothing behind.

    def half(held: Connection, request: Request) -> dict[str, Any]:
        held.execute(
            "INSERT INTO waste_decision (waste_id, state, author, reason, commit_no)"
            " SELECT min(waste_id), 'done', 'x', 'half', 1 FROM waste_finding"
        )
        raise RequestRefusedError("not quite")

    asked = ask(visitor, "waste.decide", waste=1, state="done", reason="r").json()
    assert serve_one(connection, {"waste.decide": half})
    kept = connection.execute(
        "SELECT state, refusal FROM work_request WHERE request_id = %s", (asked["request_id"],)
    ).fetchone()
    assert kept == ("refused", "not quite")
    assert connection.execute(
        "SELECT count(*) FROM waste_decision WHERE reason = 'half'"
    ).fetchone() == (0,)


def test_who_may_ask_for_what(viewer: httpx.Client, connection: Connection) -> None:
    kinds = connection.execute("SELECT kind, permission FROM request_kind").fetchall()
    assert len(kinds) >= 15
    for kind, permission in kinds:
        allowed = permission in MAY["viewer"]
        assert ask(viewer, str(kind)).status_code == (202 if allowed else 403), kind
        assert ask(viewer, str(kind), site="steel").status_code == 404, kind
    connection.execute("DELETE FROM work_request WHERE state = 'waiting'")
    # What others asked for may hold secrets: seen by those who could have asked.
    row = connection.execute(
        "SELECT request_id FROM work_request WHERE kind = 'output.enter' LIMIT 1"
    ).fetchone()
    if row is not None:
        assert viewer.get(f"/api/v1/s/asked/requests/{row[0]}").status_code == 404


def test_a_defect_of_ours_fails_one_page_and_says_its_number(
    visitor: httpx.Client, connection: Connection
) -> None:
    broken = (
        "UPDATE cost_period c SET lines = %s::jsonb FROM site s WHERE s.site_id = c.site_id"
        " AND s.code = 'asked' AND c.band = 'total'"
    )
    kept = connection.execute("SELECT lines FROM cost_period WHERE band = 'total'").fetchone()
    assert kept is not None
    connection.execute(broken, ('[{"kind": 1}]',))
    try:
        answer = visitor.get("/s/asked/cost?t=2025-09&lang=en")
        assert answer.status_code == 500
        assert "tell the administrator the number" in answer.text
        assert "Traceback" not in answer.text
        told = visitor.get("/api/v1/s/asked/cost?t=2025-09")
        assert (told.status_code, len(told.json()["number"])) == (500, 8)
        assert visitor.get("/s/asked/flow?t=2025-09").status_code == 200
    finally:
        connection.execute(broken, (json.dumps(kept[0]),))


def test_a_block_from_a_sheet_fills_the_ledger(visit: Any) -> None:  # noqa: F811  # a fixture
    page = visit("/s/asked/output?t=2025-09&edit=1&lang=en")
    first = page.locator('[name="2025-09-01|l1|00:00|08:00"]')
    first.focus()
    page.evaluate(
        "() => { const data = new DataTransfer(); data.setData('text', '1.5\\t2\\n3\\t1,234.5\\n');"
        " document.activeElement.dispatchEvent(new ClipboardEvent('paste',"
        " {clipboardData: data, bubbles: true, cancelable: true})); }"
    )
    filled = {
        name: page.locator(f'[name="2025-09-{name}"]').input_value()
        for name in ("01|l1|00:00|08:00", "01|l1|08:00|16:00", "02|l1|00:00|08:00",
                     "02|l1|08:00|16:00")
    }  # fmt: skip
    assert list(filled.values()) == ["1.5", "2", "3", "1234.5"]
    page.keyboard.press("ArrowDown")
    assert page.evaluate("document.activeElement.name") == "2025-09-02|l1|00:00|08:00"


def test_an_alert_is_taken_by_a_click(
    visit: Any,  # noqa: F811  # a fixture
    portal_database: str,
    connection: Connection,
) -> None:
    stop = threading.Event()
    serving = threading.Thread(
        target=serve_requests, args=(portal_database, "test desk", handlers(), stop)
    )
    serving.start()
    try:
        page = visit("/s/asked/alerts?lang=en")
        page.locator('[name="arguments.note"]').first.fill("on my way")
        page.locator('[data-request="alert.acknowledge"]').first.click()
        expect(page.locator("[data-answer]")).to_have_attribute("data-answer", "done")
        expect(page.locator("#open-alerts")).to_contain_text("acknowledged by tester")
    finally:
        stop.set()
        serving.join(20)
    assert connection.execute(
        "SELECT acknowledged_by, note FROM alert_state JOIN alert_rule USING (alert_rule_id)"
        " JOIN site USING (site_id) WHERE alert_rule.code = 'main-high' AND site.code = 'asked'"
    ).fetchone() == ("tester", "on my way")
