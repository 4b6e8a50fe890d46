"""A small shop: Django with models, templates and REST framework; functions do the work."""
