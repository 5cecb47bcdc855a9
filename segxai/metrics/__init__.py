"""Scores of masks and maps against ground truth."""
