"""Reference producers and consumers, one module per broker kind, recording what they see."""
