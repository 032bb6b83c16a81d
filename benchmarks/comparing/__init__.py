"""A network that compares pictures with good parts, trained on made-up products, and the detector made of it."""
