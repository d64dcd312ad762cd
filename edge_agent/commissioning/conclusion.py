"""What follows from a walk: relations between points, named findings, and the record."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Final, Literal

from edge_agent.commissioning.checks import DISPLAY_APART_S
from edge_agent.commissioning.findings import Finding, make_finding, shown_number
from edge_agent.commissioning.phase_angles import Flow
from edge_agent.commissioning.progress import Progress, SavedPair
from edge_agent.commissioning.record import (
    CHECK_CODES,
    RECORD_SCHEMA,
    DisplayReading,
    Record,
    RecordedDevice,
    RecordedWiring,
    open_items,
)
from edge_agent.commissioning.scaling import ratio_at_point
from edge_agent.commissioning.wiring import (
    Ratios,
    clamp_findings,
    energy_findings,
    phase_findings,
    power_findings,
    ratio_findings,
    shift_findings,
)
from edge_agent.power_check import Measured
from edge_agent.profile import Profile
from enpilot import __version__
from enpilot.plant import Installation, Names, Plant
from enpilot.quantities import QUANTITIES, unit_ratio

if TYPE_CHECKING:
    from edge_agent.commissioning.walk import WalkSite

__all__ = [
    "display_amount",
    "family_of",
    "make_record",
    "rate_of",
    "relatives",
    "same_readings",
    "wiring_findings",
]

# A counter's quantity, the rate it integrates, and units of the one in an hour of the other.
_RATES: Final = (
    ("active_energy", "active_power", 1.0),
    ("mass", "mass_flow", 1.0),
    ("volume", "volume_flow", 1.0),
    ("heat", "thermal_power", 0.0036),
    ("pieces", "", 0.0),
)
_SAME_SHARE: Final = 0.02
_TWICE: Final = 2


def rate_of(profile: Profile, direction: str) -> tuple[str | None, str | None, float]:
    """Return a profile's main counter, its rate, and the counter's units in a rate-hour."""
    names = {r.name for r in profile.values}
    counters = [r for r in profile.values if r.counter is not None]
    order = ["export", "total"] if direction == "export" else ["total", "import"]
    for quantity, rate, per_rate in _RATES:
        channels = [r.channel for r in counters if r.quantity == quantity]
        if not channels:
            continue
        channel = next((c for c in order if c in channels), channels[0])
        rates = [n for n in (f"{rate}.{channel}", f"{rate}.total") if n in names]
        return f"{quantity}.{channel}", rates[0] if rates else None, per_rate
    return None, None, 0.0


def display_amount(
    shown: str, unit: str, side: str, counter: str, installation: Installation
) -> Measured:
    """Return a display reading as the amount at the point, with the step of its last digit.

    Raises
    ------
    UnitError
        If the unit is none of the quantity.
    """
    quantity = counter.partition(".")[0]
    factor = unit_ratio(quantity, unit)
    to_amount = float(abs(ratio_at_point(quantity, side, installation)))
    to_amount = to_amount * factor.numerator / factor.denominator
    number = Decimal(shown)
    exponent = number.as_tuple().exponent
    digits = -exponent if isinstance(exponent, int) else 0
    return Measured(float(number) * to_amount, 10.0**-digits * to_amount)


def family_of(plant: Plant, point: str) -> tuple[str, list[str], bool] | None:
    """Return the point above, those below it, and whether any of them generates or feeds out."""
    children: dict[str, list[str]] = {}
    for p in plant.point:
        if p.parent is not None:
            children.setdefault(p.parent, []).append(p.code)
    own = next((p for p in plant.point if p.code == point), None)
    top = point if point in children else (own.parent if own is not None else None)
    if top is None:
        return None
    below = children.get(top, [])
    feeding = any(
        p.role == "generation" or p.direction == "export"
        for p in plant.point
        if p.code in (top, *below)
    )
    return top, below, feeding


def relatives(plant: Plant, point: str) -> set[str]:
    """Return the points above and below a point: they see its loads too."""
    parents = {p.code: p.parent for p in plant.point}

    def above(code: str) -> set[str]:
        found: set[str] = set()
        upper = parents.get(code)
        while upper is not None and upper not in found:
            found.add(upper)
            upper = parents.get(upper)
        return found

    return above(point) | {code for code in parents if point in above(code)}


def same_readings(
    mine: Mapping[str, Measured],
    other: Mapping[str, Measured],
    my_level: Measured,
    other_level: Measured,
    limit: float,
) -> bool:
    """Whether two meters show the same counter and the same voltages and currents."""
    if my_level.value == 0 or abs(my_level.value - other_level.value) > limit:
        return False
    names = [n for n in mine if n in other and n.startswith(("voltage.", "current."))]
    return all(
        abs(mine[n].value - other[n].value) <= _SAME_SHARE * abs(mine[n].value) + mine[n].step
        for n in names
    )


def wiring_findings(
    site: WalkSite, known: Progress, flow: Flow, clamp_a: Mapping[str, float]
) -> list[Finding]:
    """Return the named wiring faults that everything seen together shows, each code once."""
    ratios = Ratios(float(site.installation.ct_ratio), float(site.installation.pt_ratio))
    found: list[Finding] = []
    values = known.values[-1] if known.values else {}
    shift = shift_findings(values, known.shifted, refused=known.refused)
    found += shift
    if not shift:
        # Both hold for the moment of the clamp: the load was another one later.
        found += phase_findings(known.by_clamp or values, flow)
        found += clamp_findings(clamp_a, known.by_clamp, ratios)
        found += power_findings(known.values, ratios)
        found += _display_findings(known.pairs, ratios)
        s = known.stretch
        if s.seconds and not s.turned:
            found += energy_findings(s.advance, s.integral, s.step, ratios)
    found += _identity_findings(known)
    best: dict[str, Finding] = {}
    rank = {"certain": 0, "likely": 1, "possible": 2}
    for f in found:
        if f.code not in best or rank[f.confidence] < rank[best[f.code].confidence]:
            best[f.code] = f
    return [_at(best[code], site.point.code) for code in sorted(best)]


def _at(finding: Finding, point: str) -> Finding:
    return Finding(**{f: getattr(finding, f) for f in finding.__struct_fields__} | {"point": point})


def _display_findings(pairs: list[SavedPair], ratios: Ratios) -> list[Finding]:
    if len(pairs) < _TWICE or pairs[-1].at_s - pairs[0].at_s < DISPLAY_APART_S:
        return []
    first, last = pairs[0], pairs[-1]
    shown = last.display.value - first.display.value
    counted = last.register.value - first.register.value
    if shown < 20 * first.display.step or counted < 20 * first.register.step:
        # The levels tell a ratio too, if the counters began together.
        shown, counted = last.display.value, last.register.value
        if shown < 20 * first.display.step or counted < 20 * first.register.step:
            return []
    return ratio_findings(shown, counted, ratios)


def _identity_findings(known: Progress) -> list[Finding]:
    found = []
    wrong_display = sorted(set(known.seen_as))
    if len(wrong_display) == 1 or known.moved:
        other = wrong_display[0] if len(wrong_display) == 1 else known.moved[0]
        evidence: dict[str, float | str] = {"other_point": other}
        if wrong_display:
            evidence["display_is_of"] = ", ".join(wrong_display)
        if known.moved:
            evidence["load_step_seen_at"] = ", ".join(known.moved)
        both = bool(wrong_display and known.moved)
        found.append(
            make_finding(
                "swapped_meters",
                (
                    f"表显或投切的负荷与测点 {other} 的读数一致，而不是本测点：两块表可能互换。",
                    (
                        f"The display or the load that was switched is that of point {other}, "
                        "not of "
                        "this one: the meters may be exchanged."
                    ),
                ),
                evidence,
                "certain" if both else "likely",
            )
        )
    for point, times in sorted(known.twins.items()):
        moved = len(known.pairs) > 1 and (
            known.pairs[-1].register.value - known.pairs[0].register.value
            > 5 * known.pairs[0].register.step
        )
        found.append(
            make_finding(
                "same_unit_twice",
                (
                    f"测点 {point} 的读数与本测点完全相同：同一块表可能被读了两次。",
                    f"Point {point} shows the very same readings: one unit may be read twice.",
                ),
                {"other_point": point, "times": str(times)},
                "likely" if times >= _TWICE and moved else "possible",
            )
        )
    return found


def make_record(
    site: WalkSite,
    source: Literal["meter", "outbox"],
    known: Progress,
    findings: list[Finding],
    ended_s: float,
) -> Record:
    """Return the record of a walk that is through."""
    placed, device = site.placed, site.placed.part.device
    line, profile = placed.line, placed.part.profile
    answers = known.answers
    serial_line = line.kind == "serial"
    done = [known.checks[code] for code in CHECK_CODES if code in known.checks]
    left = open_items(done, findings)
    counter, _, _ = rate_of(profile, site.point.direction)
    unit = QUANTITIES[counter.partition(".")[0]].unit if counter else ""
    return Record(
        schema=RECORD_SCHEMA,
        kind="enpilot-commissioning-record",
        software=f"enpilot {__version__}",
        site=site.plant.site.code,
        site_name=site.plant.site.name,
        point=site.point.code,
        point_name=Names(zh=site.point.name.zh, en=site.point.name.en),
        medium=site.point.medium,
        plant_sha256=site.plant_sha256,
        source=source,
        engineer=answers["engineer"],
        began=_instant(known.began_s),
        ended=_instant(ended_s),
        device=RecordedDevice(
            code=device.code,
            maker=device.maker,
            model=device.model,
            serial=answers.get("serial"),
            simulated=device.simulated,
            profile=profile.code,
            profile_sha256=site.profile_sha256,
            profile_source=profile.source,
            profile_verified=profile.verified,
            line=line.code,
            kind=line.kind,
            address=line.address,
            unit=placed.units[0].unit,
            baud=line.baud if serial_line else None,
            parity=line.parity if serial_line else None,
            stop_bits=line.stop_bits if serial_line else None,
        ),
        wiring=RecordedWiring(
            ct_ratio=site.installation.ct_ratio,
            pt_ratio=site.installation.pt_ratio,
            sign=site.installation.sign,
            ct_primary_a=answers.get("ct.primary_a"),
            ct_secondary_a=answers.get("ct.secondary_a"),
            ct_turns=answers.get("ct.turns"),
            clamp=answers.get("clamp.instrument"),
        ),
        checks=done,
        findings=findings,
        display=[
            DisplayReading(
                at=_instant(p.at_s),
                display=shown_number(p.display.value, 12),
                register=shown_number(p.register.value, 12),
                unit=unit,
            )
            for p in known.pairs
        ],
        files=known.files,
        remarks=answers.get("remarks"),
        verdict="not_verified" if left else "verified",
        open=left,
    )


def _instant(at_s: float) -> dt.datetime:
    return dt.datetime.fromtimestamp(int(at_s), dt.UTC)
