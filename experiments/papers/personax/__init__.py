"""PersonaX (Li et al. 2026): tests of independence, and causal latents of several modalities."""
