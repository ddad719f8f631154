"""Simulators with unobserved confounders, proxies and nuisance variables."""
