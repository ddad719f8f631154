"""Would it run on that chip? Compiling programs ahead of time, and reports on what was compiled."""

from causalrep.aot.programs import Program, ProgramReport, compile_for

__all__ = ["Program", "ProgramReport", "compile_for"]
