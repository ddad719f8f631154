"""ILD (Zhou et al., ICLR 2024): domain counterfactuals of invertible latent causal models."""
