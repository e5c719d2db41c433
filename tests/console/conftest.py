"""Fixtures of the console's tests: the sample machine's disk on the fake appliance."""

from tests.support.flow import disk, fake, shelf

__all__ = ["disk", "fake", "shelf"]
