"""Would it run on that chip? Compiling programs ahead of time, and reports on what was compiled."""
