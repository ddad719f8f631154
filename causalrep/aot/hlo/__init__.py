"""Readers of compiled programs (HLO text): memory, bytes moved, operations, collectives."""
