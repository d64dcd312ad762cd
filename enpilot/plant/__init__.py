"""The plant file: points, devices, wiring, products, EnPIs, targets and rules of one site."""

from enpilot.plant.base import Names
from enpilot.plant.load import PlantFileError, load_plant
from enpilot.plant.model import (
    Agent,
    AlertRule,
    Device,
    Enterprise,
    Installation,
    Line,
    Ownership,
    Plant,
    Point,
    Product,
    Register,
    Scheme,
    Site,
)
from enpilot.plant.production import Enpi, Target

__all__ = [
    "Agent",
    "AlertRule",
    "Device",
    "Enpi",
    "Enterprise",
    "Installation",
    "Line",
    "Names",
    "Ownership",
    "Plant",
    "PlantFileError",
    "Point",
    "Product",
    "Register",
    "Scheme",
    "Site",
    "Target",
    "load_plant",
]
