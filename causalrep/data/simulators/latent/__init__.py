"""Simulators of latent causal models."""
