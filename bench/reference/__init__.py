"""Writes docs/reference/ from the program itself: commands, schemas, hazards and error codes, exit status.

Run from the checkout: ``make reference``; a test holds the pages against the program.
"""
