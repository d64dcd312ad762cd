"""Files being written, and kept for an hour: bounded in number and on disk, each its owner's.

Files are written whole before they are sent: an export that fails halfway is an error, never a
shorter file that looks complete.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, Literal

import msgspec
import psycopg
import structlog

from dashboards.errors import ExportsBusyError, ExportTooLongError, NotPermittedError
from dashboards.portal.database import Reader
from dashboards.portal.exports.columns import Column
from dashboards.portal.exports.formats import XLSX_ROWS, open_writer
from dashboards.portal.exports.statements import Table
from dashboards.portal.routes import permitted_site
from dashboards.portal.site import Site
from enpilot.errors import EnpilotError, RetryableError
from enpilot.text import Language, pick

__all__ = ["Asked", "Export", "Exports"]

_KEPT_S: Final = 3600.0
_AT_A_TIME: Final = 2  # files written at once: each is a snapshot held open and a busy thread
_KEPT: Final = 12  # files, of all people together
_KEPT_EACH: Final = 4
_BYTES: Final = 1 << 30  # of one file
_ALL_BYTES: Final = 4 << 30
# What is written while the browser waits; Excel's format takes some ten times as long a row.
_AT_ONCE: Final = {"csv": 100_000, "parquet": 100_000, "xlsx": 20_000}
_log = structlog.get_logger(__name__)

State = Literal["running", "done", "failed"]


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """An export that someone asks for."""

    site: str
    kind: str  # csv, xlsx, parquet
    permission: str
    open: Callable[[psycopg.Connection[Any], Site, Mapping[str, str]], Table]
    query: Mapping[str, str]
    language: Language
    owner: int | None


class Export(msgspec.Struct, kw_only=True):
    """One export and how far it is; changed by the thread that writes it."""

    export_id: str
    owner: int | None
    site: str
    permission: str
    name: str = ""
    path: Path
    kind: str
    begun: float
    count: int = 0
    written: int = 0
    size: int = 0
    state: State = "running"
    failure: str = ""
    status: int = 400  # of a failure
    stop: bool = False
    awaited: bool = False  # a browser waits for it: it goes as soon as it is sent
    counted: asyncio.Event = msgspec.field(default_factory=asyncio.Event)

    @property
    def progress(self) -> float:
        """The share of the rows that is written, 0 to 1."""
        return min(1.0, self.written / self.count) if self.count else 1.0

    @property
    def at_once(self) -> bool:
        """Whether it is so short that a browser may wait for it."""
        return self.count <= _AT_ONCE[self.kind]


class Exports:
    """Writes exports beside the pages, on connections of its own, and forgets them.

    Parameters
    ----------
    url
        The database.
    """

    def __init__(self, url: str) -> None:
        self._reader = Reader(url, _AT_A_TIME)
        self._folder: Path | None = None  # made when first needed
        self._exports: dict[str, Export] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def begin(self, asked: Asked) -> Export:
        """Begin to write a file, as the acting person.

        Raises
        ------
        ExportsBusyError
            If as many of this owner are being written as may be, or as many are kept of all, or
            the disk set apart is full.
        """
        self._forget_old()
        own = [e for e in self._exports.values() if e.owner == asked.owner]
        if len(own) >= _KEPT_EACH:
            # The oldest that is written makes room: it was fetched, or given up.
            oldest = next((e for e in own if e.state != "running" and not e.awaited), None)
            if oldest is None:
                raise ExportsBusyError(
                    f"export: {_KEPT_EACH} of yours are being written; wait for one of them"
                )
            self.forget(oldest)
        taken = sum(e.size for e in self._exports.values())
        if len(self._exports) >= _KEPT or taken >= _ALL_BYTES:
            raise ExportsBusyError("export: as many files are kept as may be; try again later")
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="enpilot-exports-"))
        export_id = secrets.token_urlsafe(16)
        export = Export(
            export_id=export_id, owner=asked.owner, site=asked.site,
            permission=asked.permission, kind=asked.kind,
            path=self._folder / export_id, begun=time.monotonic(),
        )  # fmt: skip
        self._exports[export_id] = export
        task = asyncio.create_task(self._write(export, asked))
        self._tasks[export_id] = task
        task.add_done_callback(lambda _: self._tasks.pop(export_id, None))
        return export

    async def finished(self, export: Export) -> None:
        """Wait until an export is written or failed."""
        task = self._tasks.get(export.export_id)
        if task is not None:
            await asyncio.shield(task)

    def find(self, export_id: str, owner: int | None) -> Export | None:
        """Return an export of its owner; None of anybody else's, and of one that is gone."""
        self._forget_old()
        export = self._exports.get(export_id)
        return export if export is not None and export.owner == owner else None

    def forget(self, export: Export) -> None:
        """Stop an export and delete its file."""
        export.stop = True
        self._exports.pop(export.export_id, None)
        export.path.unlink(missing_ok=True)

    async def close(self) -> None:
        """Stop all and delete their files."""
        for export in list(self._exports.values()):
            export.stop = True
        tasks = list(self._tasks.values())
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(5):
                await asyncio.gather(*tasks, return_exceptions=True)
        self._reader.close()
        if self._folder is not None:
            await asyncio.to_thread(shutil.rmtree, self._folder, ignore_errors=True)

    def _forget_old(self) -> None:
        for export in list(self._exports.values()):
            if time.monotonic() - export.begun > _KEPT_S:
                self.forget(export)

    async def _write(self, export: Export, asked: Asked) -> None:
        loop = asyncio.get_running_loop()

        def load(connection: psycopg.Connection[Any]) -> None:
            site = permitted_site(connection, asked.site, asked.permission)
            if site is None:
                export.status = 404
                raise NotPermittedError(f"export: there is no site {asked.site}")
            export.written = 0
            table = asked.open(connection, site, asked.query)
            export.count = table.count
            export.name = _file_name(table, site, export.kind)
            if export.kind == "xlsx" and table.count > XLSX_ROWS:
                raise ExportTooLongError(
                    f"export: {table.count:,} rows, and a sheet of Excel holds {XLSX_ROWS:,}:"
                    " choose a shorter period, or CSV or Parquet"
                )
            loop.call_soon_threadsafe(export.counted.set)
            _write_table(table, site, export, asked)

        try:
            await self._reader.read(load)
            export.state = "done"
        except (EnpilotError, psycopg.Error, OSError) as error:
            if isinstance(error, RetryableError | psycopg.Error):
                export.status = 503
            elif isinstance(error, NotPermittedError) and export.status != 404:
                export.status = 403
            export.state, export.failure = "failed", str(error).splitlines()[0]
            export.path.unlink(missing_ok=True)
            if not export.stop:
                _log.warning("export failed", site=asked.site, error=export.failure)
        except Exception:  # noqa: BLE001  # said in words, logged with its traceback
            export.state, export.failure, export.status = "failed", "export: a defect of ours", 500
            export.path.unlink(missing_ok=True)
            _log.exception("an export failed", site=asked.site, kind=asked.kind)
        finally:
            if export.stop:
                export.path.unlink(missing_ok=True)
            export.counted.set()


def _write_table(table: Table, site: Site, export: Export, asked: Asked) -> None:
    writer = open_writer(
        export.kind, export.path, table.columns, _labels(table, site, asked.language),
        zone=site.zone, language=asked.language, bom=asked.query.get("bom") == "1",
    )  # fmt: skip
    try:
        for rows in table.batches:
            writer.write(rows)
            export.written += len(rows)
            export.size = export.path.stat().st_size if export.path.exists() else 0
            if export.stop:
                raise ExportTooLongError("export: stopped")
            if export.size > _BYTES:
                raise ExportTooLongError(
                    f"export: more than {_BYTES >> 20} MiB: choose a shorter period"
                )
    finally:
        writer.close()
    export.size = export.path.stat().st_size


def _labels(table: Table, site: Site, language: Language) -> list[tuple[str, str]]:
    period = pick(language, "全部", "all") if table.period is None else table.period.text()
    version = "–" if site.data_version is None else str(site.data_version)
    through = "–"
    if site.data_through is not None:
        through = site.data_through.astimezone(site.zone).isoformat()
    labels = [
        (pick(language, "数据集", "dataset"), f"{pick(language, *table.names)} ({table.dataset})"),
        (pick(language, "厂区", "site"), f"{site.name(language)} ({site.code})"),
        (pick(language, "时段", "period"), period),
        (pick(language, "时区", "time zone"), site.timezone),
        (pick(language, "数据版本", "data version"), version),
        (pick(language, "数据截至", "data to"), through),
        (pick(language, "单位", "units"), _units(table.columns, language)),
    ]
    if table.unknown:
        labels.append((pick(language, "没有这样的序列", "no such series"),
                       ", ".join(table.unknown)))  # fmt: skip
    demonstration = site.demonstration(language)
    if demonstration is not None:
        labels.append((pick(language, "演示数据（含合成）", "demonstration, partly synthetic"),
                       demonstration))  # fmt: skip
    if table.synthetic:
        labels.append((pick(language, "合成或模拟的行", "synthetic or simulated rows"),
                       str(table.synthetic)))  # fmt: skip
    if table.unverified:
        unverified = pick(language, "系数或电价未核的行", "rows with an unverified factor or price")
        labels.append((unverified, str(table.unverified)))
    return labels


def _units(columns: list[Column], language: Language) -> str:
    said = [f"{c.name} {c.unit}" for c in columns if c.unit]
    if any(c.name in ("unit", "energy_unit") for c in columns):
        said.append(pick(language, "见各行的单位列", "see the unit columns of each row"))
    return "; ".join(said) or "–"


def _file_name(table: Table, site: Site, kind: str) -> str:
    period = "" if table.period is None else f"_{table.period.text().replace('..', '--')}"
    return f"{site.code}_{table.dataset}{period}.{kind}"
