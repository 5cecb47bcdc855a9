"""Pixels and arrays: from files to arrays, checked."""
