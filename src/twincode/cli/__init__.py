"""The command line: parses, calls, prints; nothing else."""

from twincode.cli.app import main

__all__ = ["main"]
