"""Writes a module of typed classes from schemas: the classes that they describe (`model`), and their code (`render`)."""
