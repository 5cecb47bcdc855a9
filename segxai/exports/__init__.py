"""Exports of a study: a bundle for reviewers and archives."""
