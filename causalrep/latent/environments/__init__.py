"""Shared by methods that learn from several environments: checks of input, rows with labels, the base of networks."""
