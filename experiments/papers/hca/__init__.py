"""HCA (Jin, Syrgkanis, Kakade, Zhang 2025): hierarchical latent capabilities of language models."""
