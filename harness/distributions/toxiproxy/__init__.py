"""Toxiproxy's server as software: how it is built, as a program and as an image."""
