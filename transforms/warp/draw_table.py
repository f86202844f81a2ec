"""What an augmentation is as a table, for those who draw from one: `gpu_draws.py` on a GPU, `cpu_draws.h` on the host.

A row is an operation: `INTEGERS` whole numbers and `FLOATS` others. `transforms/program.py` writes them.
"""

# What an operation is. The first are geometric; END closes a segment.
DIHEDRAL, AFFINE, ZOOM, PERSPECTIVE, CROP, RANDOM_CROP, HOMOGRAPHY = range(7)
BRIGHTNESS, FACTOR, CHANNELS, HUE, GAMMA, SOLARIZE, POSTERIZE, ERASE, END = range(7, 16)

# A row's whole numbers, and its numbers from where on.
OPERATION, FLAGS, WORD, INDEX, OF, SEGMENT, FRAME, GROUP, INTEGERS = 0, 1, 2, 3, 4, 5, 6, 7, 8
LOW, SPAN, CHANCE, OTHER, FLOATS = 0, 8, 16, 20, 32
"""Number i is LOW[i] + SPAN[i] u; CHANCE has the probabilities of numbers 0 and 2; OTHER what is not drawn."""

# FRAME is the row of the last crop before, whose OTHER begins with the size that it leaves; -1 where there is none.
# GROUP is what an operation changes:
GEOMETRY, LOGITS, COLOURS, ALONE = range(4)
"""The homography, the affine map of logits, the one of RGB, or something that no other kind of operation changes."""

BATCH = 1
"""One decision for all samples of an epoch."""
PICKED = 2
"""Number 0 picks this operation, INDEX of OF, or another; its own numbers follow."""
AT_ENDS = 4
"""Its numbers are moved to the nearer end of 0..1."""
POWER = 8
"""Number 1 is the exponential of what is drawn."""
TURNS = 16
"""A transposition turns the frame, too."""
PAD = 32
SQUISH = 64
"""How a crop comes to its size, if not by the largest box."""
LOGIT = 128
"""An affine map of logits; else of RGB."""
MIX = 256
"""A factor is the share of the colour that stays; the rest is luma."""
