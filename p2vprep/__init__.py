"""p2vprep: prepare the disk of a converted Windows machine, offline, before its first boot."""

__version__ = "0.1.0"
