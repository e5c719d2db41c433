"""Builders of test material: hives, transaction logs, disks. Used by the suite and by `make demo`."""
