"""What a GPU would do with the compiled kernels, found without one: PTX interpreted, machine code counted.

Triton's own interpreter runs the Python of a kernel. This package runs what the compiler makes of it: the PTX for a
named GPU, specialised for the very arguments of the launch.

    with Interpreter("sm_90") as interpreter:    # from here on a launch takes tensors in host memory
        y = gpu.warp(...)
    print(interpreter.summary())

- `parse.py`: what a text in PTX says
- `opcodes.py`: what an instruction computes, a line of numpy for each; `arithmetic.py` has the longer ones
- `memory.py`: where an address leads, and who was there before
- `threads.py`: in which order threads go through the code; `chains.py`: which instructions wait for one another
- `launch.py`: how a launch of Triton's is compiled, specialised and run
- `coverage.py`: which code was reached
- `mutations.py`, `sensitivity.py`, `verdicts.py`: code with one instruction changed, and whether the tests notice it
- `sass.py`, `model.py`: what `ptxas` makes of a kernel, and how fast it can be at best

What `ptxas` makes of the PTX is counted and not run; caches and time are not modelled.
"""

from ... import lazy

__getattr__, __dir__, __all__ = lazy.public_names(__name__, __file__)
