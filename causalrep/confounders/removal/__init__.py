"""Removal of measured nuisance variables, such as demographics: DemoVAE, residualization, audits of leakage."""
