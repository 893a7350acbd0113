"""Measurements with their peers; run one with ``python -m benchmarks.NAME [--quick] [--set FOLDER]``."""
