"""Turns readings into interval energy, standard coal, EnPIs and verdicts.

No room imports another. Its public face:
``enpilot analyze``, ``enpilot alerts`` and the tables they write.
"""

__all__: list[str] = []
