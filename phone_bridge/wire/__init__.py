"""The wire codec of the nearsight glasses profile (``firmware_stubs/PROFILE.md``): pure, no I/O, no clock.

Both ends use it: the adapter of the host, and the simulated glasses. Times are handed in by the caller.
"""
