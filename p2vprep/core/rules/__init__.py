"""Rules: pure functions from facts and settings to edits, hazards and skips. One concern per module."""
