"""The version of the package, written here and nowhere else."""

__all__ = ["__version__"]

__version__ = "1.2.0"
