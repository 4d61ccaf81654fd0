"""What software runs: which versions exist, how they are fetched and built, where they are cached."""
