"""Writes a module of typed classes from schemas: what the schemas say (`model`), and how it is written (`render`)."""
