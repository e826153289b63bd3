"""Query: what SQL may do here, what it sees, and how answers look.

Belongs here: the gate, views, masking, JSON forms. Not here: DuckDB and its processes (see
lakehouse/adapters/sql_pool.py), HTTP (see lakehouse_api/routes/sql.py).
"""
