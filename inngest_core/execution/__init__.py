"""What becomes of each step: pure decisions, performed elsewhere."""
