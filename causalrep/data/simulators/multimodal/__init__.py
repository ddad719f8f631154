"""Simulators with several modalities."""
