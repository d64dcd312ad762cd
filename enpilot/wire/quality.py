"""Quality of a reading: a closed enumeration in the low byte, flags in the high byte (D6).

Values are stored for decades: they are never renumbered and never reused.
"""

from enum import IntEnum, IntFlag

__all__ = ["Quality", "QualityFlag"]


class Quality(IntEnum):
    """Low byte. Only GOOD readings have a number that accounting may use."""

    GOOD = 0
    NO_RESPONSE = 1
    EXCEPTION_REPLY = 2
    NOT_AVAILABLE = 3  # the device's own marker for "no value"
    NOT_FINITE = 4
    OVERFLOW = 5  # does not fit the column or the profile's fixed exponent
    STALE = 6  # repeated by the source, not read anew
    SENSOR_FAULT = 7


class QualityFlag(IntFlag):
    """High byte, added to the quality."""

    CLOCK_HELD = 0x0100
    THINNED = 0x0200
    IMPORTED = 0x0400
    OUT_OF_RANGE = 0x0800
    MANUAL = 0x1000
    DERIVED = 0x2000  # a running register made of amounts per interval
    BEGINS = 0x4000  # a register begins here: nothing is known of the advance before
