"""Training recipes: one YAML file per published recipe, and the code that reads them."""
