"""What records say about a paper's claims, beside its reported numbers."""
