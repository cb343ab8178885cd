"""Fixtures of the command line's tests."""

from tests.cli.command import nearsight

__all__ = ["nearsight"]
