"""IV-like regression: outcome-invariant data augmentation used as an instrument."""
