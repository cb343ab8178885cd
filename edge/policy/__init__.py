"""Decisions, and nothing else: no asyncio, no clock, no files. Time is counted in samples, size in tokens."""
