"""Tables: columns of everything that is stored, once, for writers, checks and SQL.

Belongs here: names, types, meaning. Not here: reading and writing.
"""
