"""Files into the database: plant files, histories of readings, output, energy without registers."""

from ingest.imports.energy import import_energy
from ingest.imports.output import import_output
from ingest.imports.plant import PlantChanges, import_plant
from ingest.imports.readings import import_readings
from ingest.imports.result import ImportResult
from ingest.imports.retract import retract

__all__ = [
    "ImportResult",
    "PlantChanges",
    "import_energy",
    "import_output",
    "import_plant",
    "import_readings",
    "retract",
]
