"""Importing this has every report of this process hurried past, however slow the machine is."""

from __future__ import annotations

import math

from automl import handle

handle.HURRY_S = math.inf
handle.CHECKPOINT_S = math.inf
