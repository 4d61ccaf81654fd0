"""Toxiproxy: its server, its control, and several servers as one."""
