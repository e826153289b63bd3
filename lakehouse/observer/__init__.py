"""The observer: what agents, hooks and people report, the latest of it in memory, all of it in the event log.

Belongs here: events, the ring that holds the latest, what is counted. Not here: writing events down (see
lakehouse/adapters/observer_log.py), HTTP (see lakehouse_api/routes/observer.py).
"""

from lakehouse.observer.event import ObserverEvent
from lakehouse.observer.ring import EventRing
from lakehouse.observer.stats import ObserverStats

__all__ = ["EventRing", "ObserverEvent", "ObserverStats"]
