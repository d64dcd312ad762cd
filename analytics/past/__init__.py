"""The past: figures computed again of the data version they name, and what they came from."""

from analytics.past.inputs import inputs_hash
from analytics.past.reproduce import Difference, Reproduction, reproduce
from analytics.past.shadow import Relations, classify, shadow

__all__ = [
    "Difference",
    "Relations",
    "Reproduction",
    "classify",
    "inputs_hash",
    "reproduce",
    "shadow",
]
