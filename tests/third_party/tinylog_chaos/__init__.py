"""Tinylog: a message broker of two hundred lines, and all that the harness needs of it."""
