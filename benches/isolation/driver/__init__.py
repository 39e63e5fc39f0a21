"""Measures what a shadow's faults cost the client."""
