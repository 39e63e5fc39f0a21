"""Builds crossfade guided by a profile of a training run."""
