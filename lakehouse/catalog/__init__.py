"""Catalog: which files make up a dataset, version by version, and who may change that.

Belongs here: manifests, fingerprints, names, compare-and-swap commits, history, garbage collection, over the
`ObjectStore` Protocol. Not here: conversion of files (see lakehouse/ingest), SQL views (see lakehouse/query).
"""
