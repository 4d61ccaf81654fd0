"""What several faults share: evidence, toxics, the life of nodes and workers."""
