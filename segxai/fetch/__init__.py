"""Originals from the web: download, check, unpack."""
