"""From the bytes of a file to upright, presized sRGB pixels.

Nothing here but `decode.py` and `resizing.py` imports torch, so that a process for one file starts quickly.
"""
