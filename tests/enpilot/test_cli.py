"""The command line: a mistake is one clear line and exit code 2; a gateway stays lean."""

from __future__ import annotations

import importlib
import secrets
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from enpilot import __version__
from enpilot.cli import _BENCHES, _COMMANDS, main
from enpilot.demo.history import DemoFiles
from tests.services.clock import a_day_in

PLANT_FILES = Path(__file__).parent / "plant_files"
SERVER_MODULES = ("numpy", "numba", "psycopg", "nicegui", "fastapi", "uvicorn", "paho")


def enpilot(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "enpilot", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def said(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    code = caught.value.code
    assert isinstance(code, int)
    out, err = capsys.readouterr()
    return code, out, err


def write_agent(folder: Path, text: str) -> Path:
    file = folder / "agent.toml"
    file.write_text(text, "utf-8")
    return file


def agent_text(plant: Path, folder: Path, more: str = "") -> str:
    return f'plant = "{plant}"\nagent = "gw-1"\noutbox = "{folder / "outbox.sqlite"}"\n{more}'


@pytest.mark.parametrize("name", ["unknown_key", "overlapping_registers", "unknown_unit"])
def test_a_wrong_plant_file_is_one_line_and_nothing_is_written(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plant = PLANT_FILES / f"{name}.toml"
    settings = write_agent(tmp_path, agent_text(plant, tmp_path))
    for arguments in (["edge", "check", str(plant)], ["edge", "run", str(settings)]):
        code, out, err = said(arguments, capsys)
        assert (code, out) == (2, "")
        assert err.startswith(f"enpilot: {plant}: ")
        assert " - at `$." in err
        assert err.count("\n") == 1
    assert [f.name for f in tmp_path.iterdir()] == ["agent.toml"]


@pytest.mark.parametrize(
    ("more", "sentence"),
    [("bacth_s = 1\n", "unknown field `bacth_s`"), ("[mqtt]\nport = 0\n", "`$.mqtt.port`")],
)
def test_a_wrong_setting_is_one_line(
    more: str,
    sentence: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    settings = write_agent(tmp_path, agent_text(PLANT_FILES / "good.toml", tmp_path, more))
    code, _, err = said(["edge", "run", str(settings)], capsys)
    assert code == 2
    assert err.startswith(f"enpilot: {settings}: ")
    assert sentence in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["edge", "run"], 'Command "edge run" parameter --settings requires an argument.'),
        (["edge", "run", "/nowhere/agent.toml"], "/nowhere/agent.toml: there is no such file"),
        (["edge", "check", "--bogus", "x"], "Unknown option: --bogus."),
        (["edge", "bogus"], 'Unknown command "bogus".'),
        (["bogus"], "Unknown command 'bogus'."),
        (["edge", "profiles", "bogus"], "no profile 'bogus'; shipped are abb-b23"),
        (["edge", "simulate", "run", "/nowhere/x.toml"], "/nowhere/x.toml: there is no such file"),
        (["edge", "check", str(PLANT_FILES / "good.toml"), "--agent", "gw-2"],
         "no agent 'gw-2' (there is: gw-1) - at `$.agent`"),
    ],
)  # fmt: skip
def test_a_wrong_call_is_one_line(
    arguments: list[str],
    sentence: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    code, out, err = said(arguments, capsys)
    assert (code, out) == (2, "")
    assert err.startswith("enpilot: ")
    assert sentence in err
    assert err.count("\n") == 1


def test_a_ca_file_that_is_none_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "ca.pem"
    file.write_text("no certificate")
    files = DemoFiles.lay_out(tmp_path / "plants", a_day_in(2026), 15_020)
    settings = write_agent(
        tmp_path,
        agent_text(files.path("steel.toml"), tmp_path, f'[mqtt]\ntls_ca_file = "{file}"\n').replace(
            "gw-1", "steel-gw1"
        ),
    )
    code, _, err = said(["edge", "run", str(settings)], capsys)
    assert code == 2
    assert err.startswith(f"enpilot: {file}: no certificates of an authority can be read")
    assert err.count("\n") == 1


def test_another_agent_s_outbox_is_one_line_and_exit_code_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "outbox.sqlite").write_bytes(b"not SQLite at all, but long enough to be read" * 50)
    files = DemoFiles.lay_out(tmp_path / "plants", a_day_in(2026), 15_020)
    text = agent_text(files.path("steel.toml"), tmp_path).replace("gw-1", "steel-gw1")
    code, _, err = said(["edge", "run", str(write_agent(tmp_path, text))], capsys)
    assert code == 1
    file = tmp_path / "outbox.sqlite"
    assert err == f"enpilot: {file}: the outbox cannot be used: file is not a database\n"


def test_a_database_without_its_schema_is_one_line(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    name = f"empty_{secrets.token_hex(6)}"
    plant = Path(__file__).parent / "plant_files" / "good.toml"
    with psycopg.connect(postgres_url, autocommit=True) as server:
        server.execute(f"CREATE DATABASE {name}")
        try:
            monkeypatch.setenv("ENPILOT_DATABASE_URL", make_conninfo(postgres_url, dbname=name))
            code, _, err = said(["import", "plant", str(plant)], capsys)
        finally:
            server.execute(f"DROP DATABASE {name} WITH (FORCE)")
    assert (code, err.count("\n")) == (2, 1)
    assert "enpilot db migrate" in err


def test_version_and_help_end_well() -> None:
    assert enpilot("--version").stdout.strip() == __version__
    shown = enpilot("--help")
    assert shown.returncode == 0
    assert "edge" in shown.stdout
    assert "单位产品能耗" in shown.stdout


def test_the_list_of_commands_says_what_the_rooms_say() -> None:
    for target, name, words in (*_COMMANDS, *_BENCHES):
        module, _, attribute = target.partition(":")
        command = getattr(importlib.import_module(module), attribute)
        assert (command.name, command.help) == ((name,), words)


def test_a_reader_who_has_seen_enough_gets_no_traceback() -> None:
    command = [sys.executable, "-m", "enpilot", "edge", "profiles"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""


def test_checking_a_plant_imports_nothing_that_a_server_needs(tmp_path: Path) -> None:
    files = DemoFiles.lay_out(tmp_path, a_day_in(2026), 15_020)
    program = (
        "import sys; from enpilot.cli import app\n"
        f"app(['edge', 'check', {str(files.path('steel.toml'))!r}], result_action='return_value')\n"
        f"print('LOADED', [m for m in {SERVER_MODULES!r} if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    assert "LOADED []" in done.stdout
    assert "agent steel-gw1: 19 requests a scan, 57 series" in done.stdout
    assert "holding 0x0164+28: active_power.L1, active_power.L2, " in done.stdout


def test_a_lean_install_says_what_a_server_command_needs() -> None:
    """As on a gateway: what only a server has cannot be imported."""
    program = (
        "import sys\n"
        "class Lean:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        if name.partition('.')[0] in {SERVER_MODULES[:-1]!r}:\n"
        "            raise ModuleNotFoundError(f'No module named {name!r}', name=name)\n"
        "sys.meta_path.insert(0, Lean())\n"
        "sys.argv = ['enpilot', *sys.argv[1:]]\n"
        "from enpilot.cli import _BENCHES, _COMMANDS, main\n"
        "main()"
    )
    for command, code in (
        ("ingest run", 2),
        ("analyze run", 2),
        ("bogus", 2),
        ("edge profiles", 0),
    ):
        done = subprocess.run(
            [sys.executable, "-c", program, *command.split()],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == code, done.stderr
        assert done.stderr.count("\n") == (code != 0)
        if "run" in command:
            assert "which a gateway's lean install leaves out" in done.stderr
