"""One database for this folder: both demo plants and their figures, and a foundry without any."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psycopg
import pytest

from analytics.engine import run_once
from dashboards.portal.access import grants, links, people
from enpilot.database import connect
from enpilot.plant import load_plant
from ingest.imports.energy import import_energy
from ingest.imports.output import import_output
from ingest.imports.plant import import_plant
from ingest.imports.variables import import_variables
from tests.dashboards.foundry import put_foundry
from tests.dashboards.mill import put_mill
from tests.dashboards.steel_figures import BASE_YEAR, YEAR, put_figures
from tests.services.postgres import DatabaseServer

_PLANTS = Path(__file__).parents[2] / "enpilot" / "demo" / "plants"


@pytest.fixture(scope="session")
def portal_database(
    postgres_server: DatabaseServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("portal")
    with postgres_server.database() as url:
        steel = folder / "steel.toml"
        text = (_PLANTS / "steel.toml").read_text("utf-8")
        for name, value in {
            "base_year": BASE_YEAR, "year": YEAR, "end_year": YEAR + 4, "modbus_port": 1502
        }.items():  # fmt: skip
            text = text.replace(f"{{{name}}}", str(value))
        steel.write_text(text, "utf-8")
        with connect(url, "test", autocommit=True) as connection:
            import_plant(connection, load_plant(steel), "test", "test")
            glycerine = load_plant(_PLANTS / "glycerine.toml")
            import_plant(connection, glycerine, "test", "test")
            import_energy(connection, _PLANTS / "glycerine_energy.csv",
                          _PLANTS / "glycerine_energy_mapping.toml", "test")  # fmt: skip
            import_output(connection, _PLANTS / "glycerine_output.csv",
                          _PLANTS / "glycerine_output_mapping.toml", "test")  # fmt: skip
            import_variables(connection, _PLANTS / "glycerine_variables.csv",
                             _PLANTS / "glycerine_variables_mapping.toml", "test")  # fmt: skip
            while run_once(connection).did_anything:
                pass
            connection.execute("DELETE FROM enpi_period USING site WHERE site.code = 'steel'"
                               " AND enpi_period.site_id = site.site_id")  # fmt: skip
            connection.execute("DELETE FROM energy_period")
            connection.execute("DELETE FROM computation USING site WHERE site.code = 'steel'"
                               " AND computation.site_id = site.site_id")  # fmt: skip
            put_figures(connection)
            put_foundry(connection)
            put_mill(connection, "mill")
            put_mill(connection, "asked")  # the one that tests change
            person_id = people.make_person(connection, "tester", "Tester", "test")
            grants.make_grant(
                connection, person_id, "administrator", grants.Scope(everything=True),
                trade_secrets=True, crew_figures=True, author="test", reason="test",
            )  # fmt: skip
        yield url


@pytest.fixture
def connection(portal_database: str) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    with connect(portal_database, "test", autocommit=True) as opened:
        yield opened


@pytest.fixture(scope="session")
def portal(portal_database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The portal as a user starts it; yields its address."""
    with running_portal(portal_database, tmp_path_factory.mktemp("portal-process")) as address:
        yield address


@contextmanager
def running_portal(url: str, folder: Path, more: dict[str, str] | None = None) -> Iterator[str]:
    """Run a portal on a database, its words in ``folder / "log"``; yields its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "enpilot", "portal", "run", "--port", str(port)],
            env={"ENPILOT_DATABASE_URL": url, "PATH": "/usr/bin:/bin",
                 "PYTHONPATH": str(_PLANTS.parents[2]),
                 "ENPILOT_PORTAL_ADDRESS": f"http://127.0.0.1:{port}", **(more or {})},
            cwd=folder, stdout=log, stderr=subprocess.STDOUT,
        )  # fmt: skip
        address = f"http://127.0.0.1:{port}"
        try:
            _wait(address, process)
            yield address
        finally:
            process.terminate()
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(5)
                raise
    assert [p.name for p in folder.iterdir()] == ["log"], "the portal wrote beside itself"


@pytest.fixture(scope="session")
def visitor(portal: str, portal_database: str) -> Iterator[httpx.Client]:
    """Someone signed in, who may do everything."""
    with connect(portal_database, "test", autocommit=True) as connection:
        person = people.find_person(connection, "tester")
        assert person is not None
        path = links.make_link(connection, "sign_in", person.person_id, "test")
    with httpx.Client(base_url=portal, timeout=20) as client:
        assert client.post(path).status_code == 303
        yield client


def _wait(address: str, process: subprocess.Popen[bytes]) -> None:
    for _ in range(300):
        assert process.poll() is None, "the portal ended; see its log"
        try:
            with urllib.request.urlopen(f"{address}/healthz", timeout=2) as answer:
                assert answer.status == 200
                return
        except OSError:  # it listens before it answers, so a try may time out, too
            time.sleep(0.1)
    raise AssertionError("the portal does not answer")
