"""One module per fault: apply, evidence, heal."""
