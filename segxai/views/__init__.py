"""Views: maps ≥ 0 made from attributions."""
