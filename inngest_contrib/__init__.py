"""Integrations of inngest_core, each a plugin. Importing this package imports no framework."""
