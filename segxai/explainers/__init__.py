"""The explainers: each attributes a score to the pixels of an image."""
