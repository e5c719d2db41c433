"""The pure core: functions from values to values. No file, no clock, no environment, no bindings."""
