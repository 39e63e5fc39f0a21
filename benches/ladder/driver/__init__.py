"""Counts the instructions of a request, from a bare proxy up to a comparison of both sides' answers."""
