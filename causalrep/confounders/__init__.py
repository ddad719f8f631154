"""Variational models of unobserved confounders: what if a confounder was not measured?"""
