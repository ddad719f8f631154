"""PersonaX: shared and private latents of several modalities."""
