"""Retrofit projects: whether a measure really saved."""
