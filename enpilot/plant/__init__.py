"""The plant file: points, devices, wiring, products, EnPIs, targets and rules of one site."""

from enpilot.plant.base import Names
from enpilot.plant.baselines import Baseline, Variable
from enpilot.plant.load import PlantFileError, load_plant, read_plant
from enpilot.plant.model import (
    Agent,
    AlertPreset,
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
from enpilot.plant.savings import NonRoutineAdjustment, Programme, Retrofit
from enpilot.plant.tariffs import Account, CalendarDay, MediumPrice, Tariff

__all__ = [
    "Account",
    "Agent",
    "AlertPreset",
    "AlertRule",
    "Baseline",
    "CalendarDay",
    "Device",
    "Enpi",
    "Enterprise",
    "Installation",
    "Line",
    "MediumPrice",
    "Names",
    "NonRoutineAdjustment",
    "Ownership",
    "Plant",
    "PlantFileError",
    "Point",
    "Product",
    "Programme",
    "Register",
    "Retrofit",
    "Scheme",
    "Site",
    "Target",
    "Tariff",
    "Variable",
    "load_plant",
    "read_plant",
]
