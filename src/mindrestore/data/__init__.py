"""Images, pairs, published data sets, degradations and the training loader."""
