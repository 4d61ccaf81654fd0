"""What is sent and consumed: the worker process, its launcher, the generator, the monitor."""
