"""Turns readings into interval energy, standard coal, EnPIs and verdicts."""

__all__: list[str] = []
