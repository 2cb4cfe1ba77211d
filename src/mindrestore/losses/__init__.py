"""Loss terms and the weighted objective that a recipe builds from them."""
