"""How replications are computed: modes, chunks, placement, programs, progress."""
