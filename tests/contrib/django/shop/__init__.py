"""A small app of the project under test."""
