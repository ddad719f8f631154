"""What causes what? For now: tables of dependence between variables."""

from causalrep.discovery.dependence_table import dependence_table

__all__ = ["dependence_table"]
