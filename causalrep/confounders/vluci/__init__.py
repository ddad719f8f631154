"""VLUCI: variational learning of unobserved confounders, with a report of what identifies the answer."""
