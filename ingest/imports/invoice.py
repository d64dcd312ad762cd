"""A utility's invoice, typed into a TOML file, as a fact (F27).

Strict and whole: what does not add up in the file is refused, since most such mistakes are typing
mistakes; what the invoice says wrong itself is found by comparing it with the tariff.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import tomllib
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Final, Literal
from zoneinfo import ZoneInfo

import msgspec
import psycopg
from msgspec import Meta

from enpilot.database import draw_commit_no
from enpilot.forms import DecimalText, PositiveDecimalText, form_mistakes
from enpilot.plant.base import Code, Names, Strict
from ingest.errors import ImportRefusedError

__all__ = ["ImportedInvoice", "import_invoice"]

_FEN: Final = Decimal("0.01")
_Number = Annotated[str, Meta(min_length=1, max_length=64)]


class _Register(Strict, kw_only=True):
    band: Literal["total", "sharp", "peak", "flat", "valley", "deep_valley"]
    opening: DecimalText
    closing: DecimalText


class _Line(Strict, kw_only=True):
    kind: Literal["energy", "part", "basic", "power_factor", "step", "other"]
    code: Annotated[str, Meta(min_length=1, max_length=63)]
    amount_yuan: DecimalText
    quantity: DecimalText | None = None
    price_yuan: DecimalText | None = None
    text: str = ""


class _Invoice(Strict, kw_only=True, rename={"since": "from", "until": "to"}):
    number: _Number
    site: Code
    account: Code
    since: dt.date
    until: dt.date
    multiplier: PositiveDecimalText
    total_kwh: DecimalText
    transformer_loss_kwh: DecimalText = "0"
    line_loss_kwh: DecimalText = "0"
    demand_kw: DecimalText | None = None
    reactive_kvarh: DecimalText | None = None
    power_factor: DecimalText | None = None
    total_yuan: DecimalText
    original: str | None = None
    synthetic: Names | None = None
    register: list[_Register]
    line: Annotated[list[_Line], Meta(min_length=1)]


@dataclass(frozen=True, slots=True)
class ImportedInvoice:
    """What an import did: ``version`` 1 is new, ``changed`` False was there already."""

    number: str
    version: int
    changed: bool


def import_invoice(
    connection: psycopg.Connection[Any], file: Path, author: str, reason: str = "invoice imported"
) -> ImportedInvoice:
    """Keep an invoice; another one of the same number supersedes the one before.

    Parameters
    ----------
    connection
        Not inside a transaction.
    file
        A TOML file, see docs/reference/invoice.md.
    author, reason
        Kept with it.

    Returns
    -------
    ImportedInvoice
        The same file twice is once.

    Raises
    ------
    ImportRefusedError
        If the file is not in form, does not add up, or names what is not there.
    """
    content, invoice = _read(file)
    original, sha256 = _original(file, invoice, content)
    with connection.transaction():
        account = connection.execute(
            "SELECT s.site_id, a.account_id, (SELECT timezone FROM site_record r"
            " WHERE r.site_id = s.site_id AND r.superseded_commit_no IS NULL"
            " ORDER BY valid_from DESC LIMIT 1)"
            " FROM site s JOIN account a USING (site_id) WHERE s.code = %s AND a.code = %s",
            (invoice.site, invoice.account),
        ).fetchone()
        if account is None:
            missing = (
                f"no account {invoice.account!r} at site {invoice.site!r}: describe it in the "
                "plant file (`[[account]]`) and `enpilot import plant` first"
            )
            raise ImportRefusedError(file, [missing])
        site_id, account_id, timezone = account
        zone = ZoneInfo(timezone)
        since, until = (
            dt.datetime.combine(day, dt.time(), zone) for day in (invoice.since, invoice.until)
        )
        version = _superseded(connection, site_id, invoice.number, sha256)
        if version is None:
            return ImportedInvoice(invoice.number, 0, changed=False)
        commit_no = draw_commit_no(connection)
        connection.execute(
            "UPDATE invoice SET superseded_commit_no = %s WHERE site_id = %s AND number = %s"
            " AND superseded_commit_no IS NULL",
            (commit_no, site_id, invoice.number),
        )
        _insert(
            connection, invoice, (site_id, account_id, since, until), (original, sha256),
            (version, author, reason, commit_no),
        )  # fmt: skip
        # Findings about it are computed with the site's figures.
        connection.execute(
            "INSERT INTO dirty_site (site_id, from_ts, to_ts, commit_no) VALUES (%s, %s, %s, %s)",
            (site_id, since, until, commit_no),
        )
    return ImportedInvoice(invoice.number, version, changed=True)


def _read(file: Path) -> tuple[bytes, _Invoice]:
    try:
        content = file.read_bytes()
        document = tomllib.loads(content.decode("utf-8"))
    except OSError as error:
        raise ImportRefusedError(file, [f"cannot be read: {error.strerror}"]) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ImportRefusedError(file, [f"not TOML in UTF-8: {error}"]) from error
    mistakes = list(form_mistakes(document, _Invoice))
    if mistakes:
        raise ImportRefusedError(file, mistakes)
    invoice = msgspec.convert(document, _Invoice)
    mistakes = _mistakes(invoice)
    if mistakes:
        raise ImportRefusedError(file, mistakes)
    return content, invoice


def _mistakes(invoice: _Invoice) -> list[str]:
    mistakes = []
    if invoice.since >= invoice.until:
        mistakes.append(
            f"`to` ({invoice.until}) is the day after the last, and not after `from` "
            f"({invoice.since}) - at `$.to`"
        )
    total = sum((Decimal(line.amount_yuan) for line in invoice.line), Decimal(0))
    if abs(total - Decimal(invoice.total_yuan)) > _FEN:
        mistakes.append(
            f"the lines add up to {total} yuan, `total_yuan` is {invoice.total_yuan}: a line is "
            'missing or mistyped (what fits nowhere is of kind "other") - at `$.total_yuan`'
        )
    bands = [r.band for r in invoice.register]
    mistakes += [
        f"register {band!r} stands twice - at `$.register`"
        for band in sorted(set(bands))
        if bands.count(band) > 1
    ]
    mistakes += [
        f"register {r.band!r} closes at {r.closing} below {r.opening}: after a change of meters "
        f"type the advance as opening 0 and closing - at `$.register[{i}]`"
        for i, r in enumerate(invoice.register)
        if Decimal(r.closing) < Decimal(r.opening)
    ]
    return mistakes


def _original(file: Path, invoice: _Invoice, content: bytes) -> tuple[str, bytes]:
    """Return name and hash of the scan beside the file, or of the file itself."""
    if invoice.original is None:
        return file.name, hashlib.sha256(content).digest()
    original = file.parent / invoice.original
    if Path(invoice.original).name != invoice.original or not original.is_file():
        raise ImportRefusedError(
            file, [f"no file {invoice.original!r} beside this one - at `$.original`"]
        )
    digest = hashlib.sha256(original.read_bytes())
    digest.update(content)
    return original.name, digest.digest()


def _superseded(
    connection: psycopg.Connection[Any], site_id: int, number: str, sha256: bytes
) -> int | None:
    """Return the version that this becomes; None if it is there already."""
    held = connection.execute(
        "SELECT version, file_sha256 FROM invoice WHERE site_id = %s AND number = %s"
        " AND superseded_commit_no IS NULL FOR UPDATE",
        (site_id, number),
    ).fetchone()
    if held is None:
        return 1
    return None if bytes(held[1]) == sha256 else int(held[0]) + 1


def _insert(
    connection: psycopg.Connection[Any],
    invoice: _Invoice,
    place: tuple[int, int, dt.datetime, dt.datetime],
    original: tuple[str, bytes],
    said: tuple[int, str, str, int],
) -> None:
    row = connection.execute(
        "INSERT INTO invoice (site_id, account_id, from_ts, to_ts, number, multiplier, total_kwh,"
        " transformer_loss_kwh, line_loss_kwh, demand_kw, reactive_kvarh, power_factor,"
        " total_yuan, file_name, file_sha256, synthetic, version, author, reason, commit_no)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"
        " RETURNING invoice_id",
        (
            *place, invoice.number, invoice.multiplier, invoice.total_kwh,
            invoice.transformer_loss_kwh, invoice.line_loss_kwh, invoice.demand_kw,
            invoice.reactive_kvarh, invoice.power_factor, invoice.total_yuan, *original,
            invoice.synthetic is not None, *said,
        ),
    ).fetchone()  # fmt: skip
    assert row is not None  # the row inserted
    lines: list[tuple[object, ...]] = [
        ("register", r.band, r.opening, r.closing, None, None, None, "") for r in invoice.register
    ]
    lines += [
        (x.kind, x.code, None, None, x.quantity, x.price_yuan, x.amount_yuan, x.text)
        for x in invoice.line
    ]
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO invoice_line (invoice_id, line_no, kind, code, opening, closing,"
            " quantity, price_yuan, amount_yuan, text)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
            [(row[0], i, *line) for i, line in enumerate(lines, 1)],
        )
