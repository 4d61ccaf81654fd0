"""Journals and events of a run: format, writer, reader, index."""
