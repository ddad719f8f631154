"""Latents identified from interventions: linear disentanglement, LSCALE-I, contrastive learning, CauCA, polynomials."""
