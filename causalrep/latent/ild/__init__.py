"""Invertible latent domain models (ILD): domain counterfactuals and their canonical form, for vectors and images."""
