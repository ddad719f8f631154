"""Programs whose point is where they run: one device, many, several hosts."""
