"""Facts: frozen values read from hives."""
