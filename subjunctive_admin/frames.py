"""What a nursery and those who ask it for notebooks agree on, apart from both: either loads without the other."""

from __future__ import annotations

import struct

# A message to or from a notebook: its length, then JSON.
FRAME = struct.Struct(">I")
# A message to the nursery: BIRTH with a socket's descriptor beside it, or the number of a child that is to go.
RECORD = struct.Struct(">q")
BIRTH = 0
