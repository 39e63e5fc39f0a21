"""Measures reverse proxies side by side on one machine."""
