"""What a data set is made of, as one object; from it samples, caches and loaders."""
