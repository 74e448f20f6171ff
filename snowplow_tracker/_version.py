"""The version of the package, written here and nowhere else."""

__all__ = ["__build_version__", "__version__", "__version_info__"]

__version__ = "1.2.0"
# 1.1.0 has these two, and programs read them.
__version_info__ = (1, 2, 0)
__build_version__ = __version__
