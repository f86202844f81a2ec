"""The pipeline behind an address: Arrow Flight, for machines that do not have the data."""
