"""The command line: click commands, rendering, progress."""
