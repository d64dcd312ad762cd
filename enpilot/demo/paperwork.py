"""What people of the demo's steel works did, by the usual commands: SYNTHETIC people and papers.

A technician proposes corrections and a manager decides; an accountant prepares two months and the
manager signs them; the utility sent two invoices, of which the second misread the register, so that
its month stays open.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from typing import Any, Final

import psycopg

from enpilot.database import connect
from enpilot.demo.history import DemoFiles
from enpilot.demo.processes import ProcessGroup

__all__ = ["correct", "sign_and_invoice"]

_TECHNICIAN: Final = "演示技术员 Demo technician"
_ACCOUNTANT: Final = "演示会计 Demo accountant"
_MANAGER: Final = "演示经理 Demo manager"
_MULTIPLIER: Final = 40
# What the utility's reader made of the second closing [register counts of 1 kWh before the ratio].
_MISREAD: Final = 180


def correct(group: ProcessGroup, demo: DemoFiles) -> None:
    """Propose two corrections; one of them is in force, the other waits.

    Parameters
    ----------
    group
        Runs the commands.
    demo
        After its history was imported.
    """
    demo.once("void", lambda: _void(group, demo))
    demo.once("substitute", lambda: _substitute(group, demo))


def _void(group: ProcessGroup, demo: DemoFiles) -> None:
    since, until = demo.dates.calibration
    proposed = group.run_enpilot(
        "correct", "void", "steel", "office", "--from", since.isoformat(),
        "--to", until.isoformat(), "--reason", "meter open for calibration 电表开盖校验",
        "--evidence", "SIM-C-0010, synthetic 合成", person=_TECHNICIAN,
    )  # fmt: skip
    number = proposed.split()[1]
    group.run_enpilot(
        "correct", "approve", number, "--reason", "certificate seen 已核对证书", person=_MANAGER
    )


def _substitute(group: ProcessGroup, demo: DemoFiles) -> None:
    since, until = demo.dates.gap
    group.run_enpilot(
        "correct", "substitute", "steel", "rolling", "--from", since.isoformat(),
        "--to", until.isoformat(), "--amount", "520", "--unit", "kWh",
        "--reason", "gateway without power; by the shift book 网关停电，按班报估算",
        "--evidence", "shift book, synthetic 班报（合成）", person=_TECHNICIAN,
    )  # fmt: skip


def sign_and_invoice(group: ProcessGroup, demo: DemoFiles, url: str) -> None:
    """Close two months; import the invoices of the second one and of the month after.

    Parameters
    ----------
    group
        Runs the commands.
    demo
        After its figures were computed.
    url
        Of the demo's database.
    """
    for months in (3, 2):
        month = demo.dates.month_back(months).strftime("%Y-%m")
        for step, person in (("prepare", _ACCOUNTANT), ("approve", _MANAGER)):
            words = ("close", step, "steel", "--month", month)
            demo.once(" ".join(words), partial(group.run_enpilot, *words, person=person))
    demo.once("papers", lambda: _send_papers(group, demo, url))


def _send_papers(group: ProcessGroup, demo: DemoFiles, url: str) -> None:
    with connect(url, "demo") as connection:
        bills = [_read_bill(connection, demo.dates.month_back(months)) for months in (2, 1)]
    opening = Decimal("4210.00")
    for number, bill in enumerate(bills):
        closing = opening + (bill.metered_kwh / _MULTIPLIER).quantize(Decimal("0.01"))
        if number:
            closing += _MISREAD
            bill = bill.with_more(Decimal(_MISREAD * _MULTIPLIER))
        name = f"demo-{bill.first:%Y-%m}"
        file = demo.path(f"steel_invoice_{bill.first:%Y-%m}.toml")
        file.write_text(bill.invoice(name, opening, closing), "utf-8")
        group.run_enpilot("import", "invoice", str(file), person=_ACCOUNTANT)
        opening = closing
    # The works declared what its own meter says.
    lines = ["# SYNTHETIC", "medium,quantity,unit,from,to,document"]
    lines += [
        f"electricity,{bill.metered_kwh:.2f},kWh,{bill.first},{bill.after},synthetic 合成"
        for bill in bills
    ]
    declared, mapping = (demo.path(f"steel_declared{x}") for x in (".csv", "_mapping.toml"))
    declared.write_text("\n".join(lines) + "\n", "utf-8")
    group.run_enpilot(
        "import", "declared", str(declared), "--mapping", str(mapping), person=_ACCOUNTANT
    )


@dataclass(frozen=True, slots=True)
class _Bill:
    """A computed bill of a month; ``lines`` are (kind, code, quantity, price, amount)."""

    first: dt.date
    after: dt.date
    metered_kwh: Decimal
    demand_kw: Decimal | None
    lines: tuple[tuple[str, str, Decimal | None, Decimal, Decimal], ...]

    def with_more(self, kwh: Decimal) -> _Bill:
        """Return the bill of a register that was read too high: in each band as much more."""
        whole = self.metered_kwh + kwh
        lines = []
        for kind, code, quantity, price, amount in self.lines:
            if kind in ("energy", "part") and quantity is not None:
                quantity = (quantity * whole / self.metered_kwh).quantize(Decimal("0.000001"))
                amount = (quantity * price).quantize(Decimal("0.01"))
            lines.append((kind, code, quantity, price, amount))
        return _Bill(self.first, self.after, whole, self.demand_kw, tuple(lines))

    def invoice(self, number: str, opening: Decimal, closing: Decimal) -> str:
        """Return it as an invoice file."""
        rows = [
            "# SYNTHETIC: the computed bill as an invoice.",
            f'number = "{number}"\nsite = "steel"\naccount = "main"',
            f"from = {self.first}\nto = {self.after}",
            f'multiplier = "{_MULTIPLIER}"\ntotal_kwh = "{self.metered_kwh:f}"',
            f'total_yuan = "{sum(line[4] for line in self.lines):f}"',
            'synthetic = { zh = "合成发票", en = "synthetic invoice" }',
            f'register = [{{ band = "total", opening = "{opening}", closing = "{closing}" }}]',
        ]
        if self.demand_kw is not None:
            rows.insert(4, f'demand_kw = "{self.demand_kw:f}"')
        for kind, code, quantity, price, amount in self.lines:
            rows.append(f'\n[[line]]\nkind = "{kind}"\ncode = "{code}"')
            if quantity is not None:
                rows.append(f'quantity = "{quantity:f}"\nprice_yuan = "{price:f}"')
            rows.append(f'amount_yuan = "{amount:f}"')
        return "\n".join(rows) + "\n"


def _read_bill(connection: psycopg.Connection[Any], first: dt.date) -> _Bill:
    row = connection.execute(
        "SELECT c.period_from, c.period_to, c.amount, c.demand_kw, c.lines FROM cost_period c"
        " JOIN account a USING (account_id) JOIN site s ON s.site_id = c.site_id"
        " WHERE s.code = 'steel' AND a.code = 'main' AND c.period_kind = 'billing'"
        " AND c.band = 'total' AND c.period_from = %s",
        (first,),
    ).fetchone()
    assert row is not None  # the months before the first start are whole
    since, until, amount, demand_kw, lines = row
    return _Bill(
        since, until, amount, demand_kw,
        tuple(
            (
                line["kind"], line["code"],
                None if line["quantity"] is None else Decimal(line["quantity"]),
                Decimal(line["price_yuan"]), Decimal(line["amount_yuan"]),
            )
            for line in lines
        ),
    )  # fmt: skip
