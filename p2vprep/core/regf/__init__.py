"""The registry hive file format (regf): parsing, log replay, structure check, pages."""
