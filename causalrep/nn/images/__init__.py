"""Layers and networks for images."""
