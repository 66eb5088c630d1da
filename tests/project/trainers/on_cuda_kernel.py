"""A kernel that stores wherever it is told to. Triton reads a kernel's source: it has its own file."""

import triton
import triton.language as tl


@triton.jit
def store(target, far: tl.int64):
    """Writes a 1 so many elements beyond a pointer."""
    tl.store(target + far, 1.0)
