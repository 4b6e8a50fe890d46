"""Figures, side by side with the official package: `python -m benchmarks.replay`."""
