"""``python -m harness``: the command line."""

from harness.commands.cli import main

if __name__ == "__main__":
    main()
