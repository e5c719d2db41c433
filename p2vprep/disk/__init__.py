"""All image I/O: containers, transaction, appliance, Windows volume, hive editing."""
