"""``python -m enpilot`` is the command ``enpilot``."""

from enpilot.cli import main

main()
