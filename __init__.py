"""Composable, typed data pipelines for training on images, with one filtered interpolation."""
