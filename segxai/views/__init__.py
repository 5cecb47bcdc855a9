"""Maps of an image: what is made of an explanation, array to array."""
