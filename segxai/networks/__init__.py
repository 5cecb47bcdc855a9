"""Networks: their inputs, construction, training and files."""
