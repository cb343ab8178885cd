"""Simulated glasses on a virtual radio."""
