"""The asyncio part: lanes, stages, turns, the session."""
