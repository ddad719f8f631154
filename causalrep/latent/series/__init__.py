"""Latents that cause one another over time."""
