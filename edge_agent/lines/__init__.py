"""Lines: links that move bytes, exchanges that know a protocol, and the line that takes turns."""

from edge_agent.lines.dial_in import DialInListener
from edge_agent.lines.exchange import RegisterBlock, UnitAddress
from edge_agent.lines.field_line import FieldLine, LineCounts, LineTiming
from edge_agent.lines.opening import make_line, make_lines

__all__ = [
    "DialInListener",
    "FieldLine",
    "LineCounts",
    "LineTiming",
    "RegisterBlock",
    "UnitAddress",
    "make_line",
    "make_lines",
]
