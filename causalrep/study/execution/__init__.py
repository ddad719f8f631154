"""How replications are computed: modes, chunks, placement, compiled programs, progress."""
