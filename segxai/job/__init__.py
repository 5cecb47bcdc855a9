"""Helpers of every job: logging, error sentences, files, seeds, workers."""
