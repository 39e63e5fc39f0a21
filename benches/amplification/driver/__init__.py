"""Measures what one hostile input can cost, in units of its own size."""
