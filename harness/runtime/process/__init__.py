"""Nodes as supervised processes."""
