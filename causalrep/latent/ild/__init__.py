"""Invertible latent domain models: domain counterfactuals and their canonical form."""
