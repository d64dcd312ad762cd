"""Production counts over real HTTP: versioned, all or none, for one site only."""

from __future__ import annotations

import os
import re
import subprocess
import threading
import time
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from enpilot.database import connect
from enpilot.listening import listen
from ingest.api.app import MAX_BODY_BYTES, create_app
from ingest.api.tokens import Scope, create_token, revoke_token
from ingest.errors import TokenError
from ingest.publishers.source import MessageForm, Source, Tag
from tests.imported import apply_plant
from tests.ingest.gateway import PLANT

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # of libraries, while they load
    import uvicorn

PRODUCTS = """
[[product]]
code = "section"
name = {zh = "型钢", en = "Sections"}
unit = "t"
"""
ENTRY = {
    "product": "section", "line": "line-1", "quantity": "118.4",
    "from": "2026-03-01T08:00:00+08:00", "to": "2026-03-01T16:00:00+08:00",
}  # fmt: skip
OVEN = Source(
    schema=1, name="oven", site="works", kind="rest",
    message=MessageForm(each="$.values[*]", tag="id", time="t", time_form="unix_ms", value="v"),
    tag=[Tag(tag="EM1", point="main", quantity="active_energy", unit="kWh", counter="lifetime")],
)  # fmt: skip
PAGE = Path(__file__).parents[2] / "docs" / "reference" / "rest.md"


@pytest.fixture
def works(tmp_path: Path, database_url: str) -> str:
    apply_plant(database_url, tmp_path, PLANT + PRODUCTS)
    other = re.sub(r"(?s)\[\[(agent|line|device|point|installation)\]\].*", "", PLANT)
    apply_plant(database_url, tmp_path, other.replace('"works"', '"other"') + PRODUCTS)
    return database_url


@pytest.fixture
def api(works: str) -> Iterator[str]:
    listening = listen("api", "127.0.0.1", 0)
    server = uvicorn.Server(uvicorn.Config(create_app(works, [OVEN]), log_level="warning"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        deadline = time.monotonic() + 10
        while not server.started:
            assert time.monotonic() < deadline, "the application does not start"
            time.sleep(0.02)
        yield "http://{}:{}".format(*listening.getsockname())
    finally:
        server.should_exit = True
        thread.join(10)
        listening.close()


def a_token(
    url: str, site: str = "works", scope: Scope = "output", days: float = 1
) -> tuple[int, str]:
    with connect(url, "test", autocommit=True) as connection:
        end = datetime.now(UTC) + timedelta(days=days)
        made = create_token(connection, site, "mes", [scope], end, "tester")
    return made.token_id, made.text


def post(api: str, token: str | None, *entries: Any, **more: Any) -> httpx.Response:
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    body = {"entries": list(entries), **more}
    return httpx.post(f"{api}/api/v1/output", json=body, headers=headers, timeout=20)


def rows(url: str, query: str) -> list[tuple[Any, ...]]:
    with connect(url, "test") as connection:
        return connection.execute(query).fetchall()


CURRENT = "SELECT quantity::float, version, source FROM output WHERE superseded_commit_no IS NULL"


def test_the_same_report_twice_is_once(api: str, works: str) -> None:
    _, token = a_token(works)
    assert post(api, token, ENTRY).json() == {"written": 1, "present": 0}
    assert post(api, token, ENTRY).json() == {"written": 0, "present": 1}
    assert rows(works, CURRENT) == [(118.4, 1, "mes")]
    assert rows(works, "SELECT count(*) FROM dirty_site WHERE commit_no > 0")[0][0] >= 1
    assert rows(
        works, "SELECT origin, state FROM output o JOIN batch_ledger l"
        " ON l.stream_no = o.batch >> 32 AND l.seq = (o.batch & 4294967295)"
        " JOIN stream USING (stream_no)"
    ) == [("api", "stored")]  # fmt: skip


def test_another_quantity_is_refused_whole_and_replaced_on_request(api: str, works: str) -> None:
    _, token = a_token(works)
    post(api, token, ENTRY)
    new = ENTRY | {"line": "line-2"}
    refused = post(api, token, new, ENTRY | {"quantity": "120"})
    assert refused.status_code == 409
    assert refused.json()["code"] == "conflict"
    assert "118.4 is there (version 1), not 120" in refused.json()["details"][0]
    assert rows(works, CURRENT) == [(118.4, 1, "mes")]
    answer = post(api, token, new, ENTRY | {"quantity": "120"}, supersede=True)
    assert answer.json() == {"written": 2, "present": 0}
    assert sorted(rows(works, CURRENT)) == [(118.4, 1, "mes"), (120.0, 2, "mes")]
    assert rows(works, "SELECT count(*) FROM output") == [(3,)]


def test_a_token_opens_its_own_site_only(api: str, works: str) -> None:
    _, token = a_token(works, "other")
    assert post(api, token, ENTRY).status_code == 200
    assert rows(works, "SELECT s.code FROM output JOIN site s USING (site_id)") == [("other",)]


def test_who_has_no_valid_token_writes_nothing(api: str, works: str) -> None:
    revoked, gone = a_token(works)
    with connect(works, "test", autocommit=True) as connection:
        revoke_token(connection, revoked, "tester")
        with pytest.raises(TokenError, match="could be revoked"):
            revoke_token(connection, revoked, "tester")
    over, late = a_token(works)
    with connect(works, "test", autocommit=True) as connection:
        connection.execute(
            "UPDATE api_token SET valid_to = now() - interval '1 s',"
            " created_at = now() - interval '1 day' WHERE token_id = %s",
            (over,),
        )
    _, good = a_token(works)
    forged = good[:-1] + ("A" if good[-1] != "A" else "B")
    for token in (None, "x", "enp_1_short", forged, gone, late, good + "x"):
        answer = post(api, token, ENTRY)
        assert (answer.status_code, answer.json()["code"]) == (401, "no_token")
        assert answer.headers["WWW-Authenticate"] == "Bearer"
    _, other = a_token(works, scope="readings")
    answer = post(api, other, ENTRY)
    assert (answer.status_code, answer.json()["code"]) == (403, "no_scope")
    assert rows(works, "SELECT count(*) FROM output") == [(0,)]


def test_a_token_is_kept_as_a_hash_and_says_when_it_was_used(api: str, works: str) -> None:
    number, token = a_token(works)
    post(api, token, ENTRY)
    kept = rows(works, f"SELECT t::text, last_used_at FROM api_token t WHERE token_id = {number}")
    assert token.split("_", 2)[2] not in kept[0][0]
    assert kept[0][1] is not None


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"quantity": "-1"}, "entries.0.quantity"),
        ({"quantity": "NaN"}, "entries.0.quantity"),
        ({"from": "2026-03-01T08:00:00"}, "entries.0.from"),
        ({"stage": "sold"}, "entries.0.stage"),
        ({"colour": "red"}, "entries.0.colour"),
        ({"product": "paper"}, "entries[0].product: site 'works' makes no 'paper'"),
        ({"to": ENTRY["from"]}, "entries[0].to is not after `from`"),
    ],
)
def test_a_wrong_report_is_refused_with_every_mistake_in_its_place(
    api: str, works: str, change: dict[str, str], place: str
) -> None:
    _, token = a_token(works)
    answer = post(api, token, ENTRY, ENTRY | {"line": "l2"}, ENTRY | {"line": "l3"} | change)
    first = answer.json()["details"][0].replace("[2]", "[0]").replace(".2.", ".0.")
    assert answer.status_code == 422
    assert first.startswith(place)
    assert rows(works, "SELECT count(*) FROM output") == [(0,)]


def test_a_body_without_end_is_cut_off(api: str, works: str) -> None:
    _, token = a_token(works)
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    body = b'{"entries": [' + b" " * (MAX_BODY_BYTES + 1)
    answer = httpx.post(f"{api}/api/v1/output", content=body, headers=headers, timeout=20)
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
    not_json = httpx.post(f"{api}/api/v1/output", content=b"{", headers=headers, timeout=20)
    assert not_json.status_code == 422


def test_the_description_names_every_field_and_loads_nothing_from_elsewhere(api: str) -> None:
    document = httpx.get(f"{api}/openapi.json", timeout=20).json()
    fields = document["components"]["schemas"]["OutputEntry"]["properties"]
    page = PAGE.read_text("utf-8")
    for name in fields:
        assert f"`{name}`" in page
    for status in ("401", "403", "409", "413", "422", "503"):
        assert status in document["paths"]["/api/v1/output"]["post"]["responses"]
        assert f"| {status} |" in page
    assert httpx.get(f"{api}/docs", timeout=20).status_code == 404
    assert httpx.get(f"{api}/api/v1/health", timeout=20).json()["status"] == "ok"


def test_readings_are_stored_once_and_for_the_token_s_site_only(api: str, works: str) -> None:
    def send(token: str, body: str, source: str = "oven") -> httpx.Response:
        headers = {"Authorization": f"Bearer {token}"}
        url = f"{api}/api/v1/readings/{source}"
        return httpx.post(url, content=body, headers=headers, timeout=20)

    _, token = a_token(works, scope="readings")
    good = '{"values": [{"id": "EM1", "t": 1767225600000, "v": 1}]}'
    assert send(token, good).json()["stored"] == 1
    assert send(token, good).json() == {"stored": 0, "duplicates": 1, "stale": 0, "refused": []}
    wrong = send(token, "{")
    assert (wrong.status_code, wrong.json()["code"]) == (422, "form")
    assert rows(works, "SELECT agent_id, code FROM quarantine") == [("source:oven", "malformed")]
    _, foreign = a_token(works, "other", scope="readings")
    for answer in (send(foreign, good), send(token, good, "kiln")):
        assert (answer.status_code, answer.json()["code"]) == (404, "no_source")
    _, output = a_token(works)
    assert send(output, good).json()["code"] == "no_scope"
    assert rows(works, "SELECT count(*) FROM reading") == [(1,)]


@pytest.mark.parametrize(
    ("number", "scope", "answer"),
    [
        (0, "output", '{"written":1,"present":0}'),
        (1, "readings", '{"stored":1,"duplicates":0,"stale":0,"refused":[]}'),
    ],
)
def test_the_page_s_examples_work(
    api: str, works: str, number: int, scope: Scope, answer: str
) -> None:
    _, token = a_token(works, scope=scope)
    examples = re.findall(r"```sh\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    done = subprocess.run(
        ["/bin/sh", "-c", examples[number]], capture_output=True, text=True, check=True, timeout=30,
        env={**os.environ, "ENPILOT_API": api, "ENPILOT_TOKEN": token},
    )  # fmt: skip
    assert done.stdout == answer
