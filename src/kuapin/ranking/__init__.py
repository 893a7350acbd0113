"""Candidates of all sources in one order."""
