"""One folder per paper: its studies and its reported numbers."""
