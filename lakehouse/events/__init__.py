"""Events: what a line of a run log is, which part it goes into, and how full the disk may become.

Belongs here: rules on lines, names and sizes. Not here: files, threads and S3 (see lakehouse/adapters/event_log.py).
"""

from lakehouse.events.disk import DiskWatch
from lakehouse.events.envelope import STREAMS, encode_line
from lakehouse.events.parts import PartName, Place

__all__ = ["STREAMS", "DiskWatch", "PartName", "Place", "encode_line"]
