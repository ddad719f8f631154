"""Nonlinear ICA from segments: TCL, the iVAE and iFlow, with a beta-VAE as the baseline."""
