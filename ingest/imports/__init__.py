"""Files into the database: plants, readings, output, energy ledgers, what people read."""

from ingest.imports.energy import import_energy
from ingest.imports.invoice import ImportedInvoice, import_invoice
from ingest.imports.manual import import_manual
from ingest.imports.output import import_output
from ingest.imports.plant import PlantChanges, import_plant
from ingest.imports.readings import import_readings
from ingest.imports.result import ImportResult
from ingest.imports.retract import retract
from ingest.imports.run_list import ImportRun, list_imports

__all__ = [
    "ImportResult",
    "ImportRun",
    "ImportedInvoice",
    "PlantChanges",
    "import_energy",
    "import_invoice",
    "import_manual",
    "import_output",
    "import_plant",
    "import_readings",
    "list_imports",
    "retract",
]
