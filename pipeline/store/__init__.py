"""How a cache is made and kept: files of Parquet that are whole or not there."""
