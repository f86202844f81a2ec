"""How rows become batches: what is read, from where, in which memory."""
