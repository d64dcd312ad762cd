"""The plant file: points, devices, wiring, products, EnPIs, targets and rules of one site."""

from enpilot.plant.base import Names
from enpilot.plant.load import PlantFileError, load_plant
from enpilot.plant.model import (
    Agent,
    AlertRule,
    Device,
    Enpi,
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
    Target,
)
from enpilot.plant.tariffs import Account, CalendarDay, MediumPrice, Tariff

__all__ = [
    "Account",
    "Agent",
    "AlertRule",
    "CalendarDay",
    "Device",
    "Enpi",
    "Enterprise",
    "Installation",
    "Line",
    "MediumPrice",
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
    "Tariff",
    "load_plant",
]
