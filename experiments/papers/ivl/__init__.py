"""Akbar, Kilbertus, Shen, Muandet, Dai: IV-like regression and outcome-invariant augmentation (arXiv 2510.25128)."""
