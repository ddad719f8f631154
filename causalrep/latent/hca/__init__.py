"""Hierarchical component analysis: the causal order of latent capabilities across domains."""
