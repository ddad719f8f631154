"""PersonaX: causal latents of several modalities, each measured repeatedly."""
