"""Measurements: ratios of whole commands in one run on one machine, printed, never asserted."""
