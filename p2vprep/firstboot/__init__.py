"""The bundle that runs once inside the guest: its templates and their builder."""
