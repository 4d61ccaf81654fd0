"""What several checks share: spans, causes, ownership. Reads histories only."""
