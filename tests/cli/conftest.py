"""Fixtures of the command line's tests: the sample machine on the fake appliance."""

from tests.support.flow import disk, fake, shelf

__all__ = ["disk", "fake", "shelf"]
