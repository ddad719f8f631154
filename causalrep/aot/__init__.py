"""Compiling programs ahead of time for chips that are not here: does it compile, does it fit, what does it send?"""

from causalrep.aot.programs import Program, ProgramReport, compile_for

__all__ = ["Program", "ProgramReport", "compile_for"]
