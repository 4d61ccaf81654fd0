"""One module per broker kind: configuration, launch specification, readiness, administration."""
