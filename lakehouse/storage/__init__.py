"""Storage: the object store every other capability stands on, and the rules for its keys.

Belongs here: the `ObjectStore` Protocol, key policy. Not here: S3 (see lakehouse/adapters/objects.py).
"""
