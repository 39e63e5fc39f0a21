"""Measures what attackers cost the honest client."""
