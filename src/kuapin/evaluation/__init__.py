"""Splits, metrics, protocols, significance, report. Sees ranked tables, never models."""
