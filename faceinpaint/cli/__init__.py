"""The command line."""

from faceinpaint.cli.commands import app, main

__all__ = ["app", "main"]
