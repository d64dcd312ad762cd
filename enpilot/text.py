"""Numbers, dates and units as text, in both languages; the only place that formats them.

Neither a page nor a message rounds by itself: a figure below a limit must not be rounded up to it,
and the zh and en forms of one figure must agree.
"""

from __future__ import annotations

import datetime as dt
import math
from decimal import ROUND_FLOOR, ROUND_HALF_EVEN, Decimal
from typing import Literal, NamedTuple

__all__ = [
    "DASH",
    "Figure",
    "Language",
    "age",
    "change",
    "clock",
    "clock_exact",
    "coal",
    "counted",
    "day",
    "day_short",
    "duration",
    "electricity",
    "energy",
    "energy_scale",
    "instant",
    "intensity",
    "intensity_scale",
    "intensity_unit",
    "moment",
    "money",
    "month",
    "month_short",
    "number",
    "pick",
    "power",
    "progress",
    "quantity",
    "share",
    "significant",
    "unit_name",
    "unit_price",
]

Language = Literal["zh", "en"]

DASH = "–"
_MINUS = "\u2212"
# Energy over energy is an index; t/t is not, it may be steam for what a line makes.
_ENERGY_ALONE = ("kgce", "kWh", "MWh", "GJ", "MJ")
_WEEKDAYS_ZH = "一二三四五六日"
_WEEKDAYS_EN = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS_EN = (
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
)  # fmt: skip


class Figure(NamedTuple):
    """A number and its unit, apart because they are set in different sizes."""

    value: str
    unit: str

    def __str__(self) -> str:
        return f"{self.value} {self.unit}".rstrip()


def pick(language: Language, zh: str, en: str) -> str:
    """Return the text of the language."""
    return zh if language == "zh" else en


def number(value: float, digits: int = 0) -> str:
    """Write a number with thousands separators and a true minus, rounded half to even."""
    rounded = _decimal(value).quantize(Decimal(1).scaleb(-digits), ROUND_HALF_EVEN)
    text = f"{abs(rounded):,.{digits}f}"
    return _MINUS + text if rounded < 0 else text


def counted(count: int, one: str, many: str | None = None) -> str:
    """Write a count with its English noun: 1 meter, 1,200 meters, 2 batches."""
    return f"{number(count)} {one if count == 1 else many or f'{one}s'}"


def significant(value: float) -> str:
    """Write three to four significant digits, never fewer before the point."""
    size = abs(value)
    digits = 0 if size >= 1000 else 1 if size >= 100 else 2 if size >= 1 or size == 0 else 3
    return number(value, digits)


def quantity(language: Language, value: float, unit: str) -> Figure:
    """Write an amount in its own unit (output, steam ...)."""
    return Figure(significant(value), unit_name(language, unit))


def unit_name(language: Language, unit: str) -> str:
    """Write a unit that is spelled differently in the two languages; others as they are."""
    return pick(language, "万元", "10,000 yuan") if unit == "10k_yuan" else unit


def electricity(language: Language, kwh: float) -> Figure:
    """Write electrical energy [kWh]; from a million on in 万kWh or MWh."""
    if abs(kwh) < 1e6:
        return Figure(number(kwh, 0 if abs(kwh) >= 100 else 1), "kWh")
    if language == "zh":
        return Figure(number(kwh / 1e4, 1), "万kWh")
    return Figure(number(kwh / 1e3), "MWh")


def coal(language: Language, tce: float) -> Figure:
    """Write standard coal [tce]."""
    if language == "zh" and abs(tce) >= 1e4:
        return Figure(significant(tce / 1e4), "万tce")
    return Figure(significant(tce), "tce")


def energy(language: Language, value: float, unit: str) -> Figure:
    """Write energy in the unit of its scheme."""
    if unit == "kWh":
        return electricity(language, value)
    if unit in ("kgce", "tce"):
        return coal(language, value / 1000 if unit == "kgce" else value)
    return quantity(language, value, unit)


def energy_scale(unit: str) -> tuple[str, float]:
    """Return the unit of a chart of energy, and what stored values are multiplied by."""
    if unit in ("kgce", "kWh"):
        return ("tce" if unit == "kgce" else "MWh"), 0.001
    return unit, 1.0


def intensity_scale(energy_unit: str) -> float:
    """Return what a stored intensity is multiplied by to be shown (tce/t is shown in kgce/t)."""
    return 1000.0 if energy_unit == "tce" else 1.0


def intensity_unit(language: Language, energy_unit: str, output_unit: str) -> str:
    """Return the unit in which an intensity is shown; an index, energy over energy, has none."""
    if energy_unit == output_unit and energy_unit in _ENERGY_ALONE:
        return ""
    shown = "kgce" if energy_unit == "tce" else energy_unit
    return f"{shown}/{unit_name(language, output_unit)}"


def intensity(language: Language, value: float, energy_unit: str, output_unit: str) -> Figure:
    """Write energy per unit of output."""
    shown = value * intensity_scale(energy_unit)
    size = abs(shown)
    digits = 1 if size >= 50 else 2 if size >= 5 else 3
    return Figure(number(shown, digits), intensity_unit(language, energy_unit, output_unit))


def power(kw: float) -> Figure:
    """Write active power [kW]."""
    return Figure(number(kw, 0 if abs(kw) >= 100 else 1), "kW")


def money(language: Language, yuan: float) -> str:
    """Write an amount of money [yuan]: ¥2,458 and 5.56 万元, CNY 55,623."""
    if language == "en":
        return f"CNY {number(yuan, 0 if abs(yuan) >= 100 else 2)}"
    if abs(yuan) >= 1e8:
        return f"{significant(yuan / 1e8)} 亿元"
    if abs(yuan) >= 1e4:
        return f"{significant(yuan / 1e4)} 万元"
    return f"¥{number(yuan, 0 if abs(yuan) >= 100 else 2)}"


def unit_price(language: Language, yuan: float, unit: str) -> str:
    """Write the price of one unit, with four digits as bills do."""
    return f"{number(yuan, 4)} {pick(language, '元', 'CNY')}/{unit}"


def change(ratio: float, digits: int = 1) -> str:
    """Write a relative change with its sign: +4.2%, −0.5%, ±0%."""
    if abs(ratio) < 0.5 * 10 ** -(digits + 2):
        return "±0%"
    text = number(ratio * 100, digits)
    return f"{'' if text.startswith(_MINUS) else '+'}{text}%"


def share(ratio: float, digits: int = 1) -> str:
    """Write a share, floored so that 94.96 % never reads as the limit of 95 %."""
    floored = (_decimal(ratio) * 100).quantize(Decimal(1).scaleb(-digits), ROUND_FLOOR)
    if floored == floored.to_integral_value():
        return f"{int(floored)}%"
    return f"{floored}%"


def progress(ratio: float) -> str:
    """Write a progress ratio: floored below 1, so that it never contradicts the mark."""
    rounding = ROUND_FLOOR if ratio < 1 else ROUND_HALF_EVEN
    rounded = _decimal(ratio).quantize(Decimal("0.01"), rounding)
    return f"{_MINUS}{abs(rounded)}" if rounded < 0 else str(rounded)


def day(language: Language, date: dt.date) -> str:
    """Write a day: 2018年9月13日 周四, Thu 13 Sep 2018."""
    if language == "zh":
        weekday = _WEEKDAYS_ZH[date.weekday()]
        return f"{date.year}年{date.month}月{date.day}日 周{weekday}"
    return f"{_WEEKDAYS_EN[date.weekday()]} {date.day} {_MONTHS_EN[date.month - 1]} {date.year}"


def day_short(language: Language, date: dt.date) -> str:
    """Write a day without its year: 9月13日, 13 Sep."""
    if language == "zh":
        return f"{date.month}月{date.day}日"
    return f"{date.day} {_MONTHS_EN[date.month - 1]}"


def month(language: Language, date: dt.date) -> str:
    """Write a month: 2018年9月, Sep 2018."""
    return pick(language, f"{date.year}年{date.month}月", f"{month_short('en', date)} {date.year}")


def month_short(language: Language, date: dt.date) -> str:
    """Write a month without its year: 9月, Sep."""
    return f"{date.month}月" if language == "zh" else _MONTHS_EN[date.month - 1]


def clock(at: dt.datetime) -> str:
    """Write the time of day of an instant in its own zone."""
    return f"{at:%H:%M}"


def clock_exact(at: dt.datetime) -> str:
    """Write the time of day to the second, with milliseconds where there are some."""
    text = f"{at:%H:%M:%S}"
    return f"{text}.{at.microsecond // 1000:03d}" if at.microsecond else text


def instant(language: Language, at: dt.datetime) -> str:
    """Write an instant without its year: 9月14日 07:45, 14 Sep 07:45."""
    return f"{day_short(language, at.date())} {clock(at)}"


def moment(language: Language, at: dt.datetime, today: dt.date) -> str:
    """Write an instant, with its year unless that is the running one."""
    text = instant(language, at)
    if at.year == today.year:
        return text
    return pick(language, f"{at.year}年{text}", f"{text} {at.year}")


def duration(language: Language, seconds: float) -> str:
    """Write how long something took, in the unit that fits: 0.3 秒, 12.5 min."""
    for size, zh, en in ((86400.0, "天", "d"), (3600.0, "小时", "h"), (60.0, "分钟", "min")):
        if abs(seconds) >= size:
            return f"{number(seconds / size, 1)} {pick(language, zh, en)}"
    return f"{number(seconds, 1)} {pick(language, '秒', 's')}"


def age(language: Language, seconds: float) -> str:
    """Write how long ago something was, in one unit."""
    for size, zh, en in ((86400, "天", "d"), (3600, "小时", "h"), (60, "分钟", "min")):
        if seconds >= size:
            count = int(seconds // size)
            return pick(language, f"{count}{zh}前", f"{count} {en} ago")
    count = max(0, math.floor(seconds))
    if count == 0:
        return pick(language, "刚刚", "just now")
    return pick(language, f"{count}秒前", f"{count} s ago")


def _decimal(value: float) -> Decimal:
    return Decimal(repr(float(value)))  # the shortest text of a float: 0.57 is not 0.5699999
