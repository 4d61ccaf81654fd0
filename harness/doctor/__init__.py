"""What this machine can do, what it cannot, why, and what to do about it."""
