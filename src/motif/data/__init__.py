"""What recipes learn from: domains, and batches of motion."""
