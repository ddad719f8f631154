"""Simulators: pure functions of a key, one folder per room that uses them."""
