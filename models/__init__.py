"""Engines behind the contract's ports, one heavy import a file; the model catalogue and the profiles."""
