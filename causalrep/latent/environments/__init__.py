"""What representation learners from several environments share: coded rows, input checks, the network base."""
