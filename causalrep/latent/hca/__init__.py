"""Hierarchical component analysis (HCA): the causal order of latent capabilities shared by several domains."""
