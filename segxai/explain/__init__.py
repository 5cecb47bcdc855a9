"""Explainers: each attributes a classifier's score to the pixels of its input."""
