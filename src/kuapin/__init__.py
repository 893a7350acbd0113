"""Kuapin: recommendations across categories, for categories that have just opened."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("kuapin")
except PackageNotFoundError:  # run from a source tree that is not installed
    __version__ = "0+source"
