"""Readers of the text of compiled programs (HLO): memory traffic, operations, collectives.

:mod:`~causalrep.aot.hlo.text` parses the text, :mod:`~causalrep.aot.hlo.flops` and :mod:`~causalrep.aot.hlo.bytes`
count for one instruction, and :mod:`~causalrep.aot.hlo.summary` adds up the program with its loops multiplied out.
"""
