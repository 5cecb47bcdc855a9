"""Scores over images: means, intervals, tests, and the tables made of them."""
