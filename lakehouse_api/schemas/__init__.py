"""Schemas: what the API takes and answers, as documented in OpenAPI; one module per concept.

Belongs here: pydantic models with examples. Not here: stored formats (see lakehouse/tables, lakehouse/catalog).
"""
