"""Removing measured nuisance variables, such as demographics, from data: DemoVAE, residualization, leakage audits."""
