"""``enpilot edge profiles`` and ``probe``: what meters hold, as described and as they show it."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from edge_agent.blocks import plan_blocks
from edge_agent.data_items import DataItem
from edge_agent.line_options import line_from_options
from edge_agent.profile import Profile, ProfileRegister, load_profile, profile_codes
from enpilot.errors import ConfigurationError

__all__ = ["probe", "profiles"]


def profiles(code: str | None = None, *, json: bool = False) -> None:
    """List the shipped meter profiles, or show one (列出或显示仪表配置).

    Parameters
    ----------
    code
        A shipped profile, or the path of a file of your own.
    json
        One JSON document instead of a table.
    """
    from edge_agent.probe_tables import table

    if code is not None:
        profile = load_profile(code)
        print(_json(_described(profile)) if json else "\n".join(_shown(profile)))
        return
    listed = [_listed(load_profile(name)) for name in profile_codes()]
    if json:
        print(_json(listed))
        return
    rows = [("code", "maker", "models", "registers", "requests", "verified")]
    rows += [
        (
            p["code"], p["maker"], ", ".join(p["models"]), str(p["registers"]),
            str(p["requests_per_scan"]), "yes" if p["verified"] else "no",
        )
        for p in listed
    ]  # fmt: skip
    print("\n".join(table(rows)))


def _listed(profile: Profile) -> dict[str, Any]:
    return {
        "code": profile.code, "maker": profile.maker, "models": profile.models,
        "registers": len(profile.values), "requests_per_scan": len(plan_blocks(profile)),
        "verified": profile.verified,
    }  # fmt: skip


def _described(profile: Profile) -> dict[str, Any]:
    """Return a profile as it is after loading: defaults filled in, addresses with the base."""
    whole: dict[str, Any] = msgspec.to_builtins(profile)
    for register, written in zip(profile.register, whole["register"], strict=True):
        written["order"] = register.byte_letters
        written["registers"] = register.width
        # NaN is no JSON.
        written["not_available"] = [_marker(m) for m in register.not_available]
    whole["requests"] = [
        {"function": b.function, "address": b.address, "count": b.count}
        for b in plan_blocks(profile)
    ]
    return whole


def _shown(profile: Profile) -> list[str]:
    from edge_agent.probe_tables import table

    said = "verified on a device" if profile.verified else "not verified on a device"
    if profile.source.startswith("layout of our own"):
        said = "a layout of our own"
    lines = [f"{profile.code}: {profile.maker} {', '.join(profile.models)}"]
    lines.append(f"source: {profile.source} ({said})")
    if profile.note is not None:
        lines.append(f"note: {profile.note}")
    blocks = plan_blocks(profile)
    places = ", ".join(b.place for b in blocks)
    lines.append(f"{len(blocks)} requests a scan: {places}")
    if profile.item:
        lines += table(_item_rows(profile.item))
        return lines
    rows: list[tuple[str, ...]] = [
        (
            "function", "address", "type", "order", "register", "scale", "unit", "side", "counter",
            "modulus", "limits", "remarks",
        )
    ]  # fmt: skip
    rows += [_row(r) for r in profile.register]
    lines += table(rows)
    return lines


def _item_rows(items: list[DataItem]) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = [
        (
            "data", "byte", "type", "item", "scale", "unit", "side", "counter", "modulus", "limits",
            "remarks",
        )
    ]  # fmt: skip
    rows += [
        (
            i.data_id, str(i.at), i.type, i.name, i.scale, i.unit, i.side, i.counter or "-",
            i.modulus or "-", _limits(i), i.note or "-",
        )
        for i in items
    ]  # fmt: skip
    return rows


def _row(r: ProfileRegister) -> tuple[str, ...]:
    scale = r.scale if r.scale_register is None else f"{r.scale} by {r.scale_register:#06x}"
    if r.offset != "0":
        scale += f" {'-' if r.offset.startswith('-') else '+'} {r.offset.removeprefix('-')}"
    remarks = [
        f"bits {r.bits[0]}+{r.bits[1]}" if r.bits is not None else "",
        "four-quadrant" if r.coding == "power_factor_4q" else "",
        "n/a " + "/".join(str(_marker(m)) for m in r.not_available) if r.not_available else "",
        r.note or "",
    ]
    return (
        r.function, f"{r.address:#06x}", r.type, r.byte_letters, r.name, scale, r.unit, r.side,
        r.counter or "-", r.modulus or "-", _limits(r), "; ".join(filter(None, remarks)) or "-",
    )  # fmt: skip


def _limits(r: ProfileRegister | DataItem) -> str:
    parts = []
    if r.rated_min is not None and r.rated_max is not None:
        parts.append(f"{r.rated_min:g}..{r.rated_max:g}")
    elif r.rated_max is not None:
        parts.append(f"<= {r.rated_max:g}")
    elif r.rated_min is not None:
        parts.append(f">= {r.rated_min:g}")
    if r.rated_max_per_h is not None:
        parts.append(f"{r.rated_max_per_h:g}/h")
    return " ".join(parts) or "-"


def _marker(marker: float) -> str:
    return f"{marker:#x}" if isinstance(marker, int) else "nan"


def _json(document: object) -> str:
    return msgspec.json.encode(document).decode()


def probe(
    host: str | None = None,
    *,
    serial: str | None = None,
    rtu: bool = False,
    baud: int = 9600,
    parity: Literal["none", "even", "odd"] = "none",
    stop_bits: Literal[1, 2] = 1,
    unit: int = 1,
    address: int | None = None,
    count: int | None = None,
    function: Literal["holding", "input"] = "holding",
    profile: str | None = None,
    timeout_s: float = 1.0,
    json: bool = False,
) -> None:
    """Read registers of a unit and show what they may mean; only reads (读取并解释寄存器).

    Without a profile every decoding is shown side by side, with marks for what looks like a
    voltage, a frequency or a power factor. With one, its readings are shown. Either way P is held
    against the sum of U x I x PF where that is possible.

    Parameters
    ----------
    host
        Gateway, as HOST or HOST:PORT.
    serial
        Serial port instead, such as /dev/ttyUSB0; with baud, parity and stop bits.
    rtu
        The gateway passes RTU frames through TCP.
    baud
        Bits a second.
    parity
        As the unit is set.
    stop_bits
        As the unit is set.
    unit
        Whom to ask, 0 to 255.
    address
        The first register, from zero; best where a value begins.
    count
        How many registers.
    function
        Holding registers (function 3) or input registers (function 4).
    profile
        Code or file of what the registers should be; without address and count, all of it.
    timeout_s
        How long a reply is waited for [s].
    json
        One JSON document instead of tables.
    """
    # Only here: listing profiles needs no line.
    from edge_agent.probe import Range, probe_now
    from edge_agent.probe_tables import report_lines

    line = line_from_options(host, serial, rtu, baud, parity, stop_bits, timeout_s)
    if not 0 <= unit <= 255:
        raise ConfigurationError(f"--unit {unit} is not within 0 to 255")
    wanted = None
    if address is not None or count is not None:
        if address is None or count is None:
            raise ConfigurationError("--address and --count go together")
        wanted = Range(function, address, count)
    described = None if profile is None else load_profile(profile)
    if described is not None and described.item:
        raise ConfigurationError(
            f"--profile {profile} is of {described.protocol}: the probe asks Modbus units; put the "
            "meter into a plant file and let the agent read it"
        )
    report = probe_now(line, unit, wanted, described)
    if json:
        print(_json(report))
        return
    for text in report_lines(report):
        print(text)
