"""Classifiers: building, local weights, training, prediction, key features."""
