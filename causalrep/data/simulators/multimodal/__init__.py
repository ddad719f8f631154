"""Simulators of several modalities."""
