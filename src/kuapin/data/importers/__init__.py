"""Readers of other systems' formats, one file each."""
