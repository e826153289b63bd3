"""Events: run logs as streams of lines, and the disk that holds them until they are shipped.

Belongs here: the envelope, stream names, part keys, the disk's limits. Not here: files and threads (see
lakehouse/adapters/event_log.py).
"""

from lakehouse.events.disk import DiskWatch
from lakehouse.events.envelope import FORMAT_VERSION, STREAMS, make_line, part_key

__all__ = ["FORMAT_VERSION", "STREAMS", "DiskWatch", "make_line", "part_key"]
