"""Other publishers: plain JSON of devices and SCADA systems, and folders of files (F33)."""

from ingest.publishers.payload import Sample, UnreadableError, read_samples
from ingest.publishers.source import Source, SourceFileError, load_source
from ingest.publishers.writer import Arrived, SourceWriter

__all__ = [
    "Arrived",
    "Sample",
    "Source",
    "SourceFileError",
    "SourceWriter",
    "UnreadableError",
    "load_source",
    "read_samples",
]
