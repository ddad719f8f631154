"""Nonlinear ICA from segments: TCL, iVAE, iFlow, and a beta-VAE beside them."""
