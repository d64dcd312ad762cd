"""Say what is missing before a virtual environment is made."""

import importlib.util
import sys

if sys.version_info < (3, 11):  # noqa: UP036  # this very check runs on older interpreters
    sys.exit(f"Enpilot needs Python 3.11 or later, this is {sys.version.split()[0]}")
if importlib.util.find_spec("ensurepip") is None:
    sys.exit("Python's venv module is missing: apt-get install python3-venv")
