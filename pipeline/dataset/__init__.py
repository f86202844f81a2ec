"""What a sample is: where its files are, what it is called, its label, its split, its blocks."""
