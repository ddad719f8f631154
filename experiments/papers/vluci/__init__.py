"""VLUCI (Zhao et al. 2023): variational learning of unobserved confounders."""
