"""Measures what grows: connections, routes, idle clients, reloads."""
