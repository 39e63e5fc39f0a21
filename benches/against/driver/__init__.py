"""Measures what reverse proxies cost, side by side on one machine."""
