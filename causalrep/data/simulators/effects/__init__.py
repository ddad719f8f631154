"""Simulators of treatment effects."""
