"""Simulators: pure functions of a key or a seed that return arrays, in one folder per room that uses them."""
