"""Normalizing flows: monotone, coupling and autoregressive."""
