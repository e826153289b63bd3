"""Adapters: all I/O, turning the errors of vendors into ours.

Modules of one capability begin with its word: `conversion_`, `corpus_`, `distill_`, `evidence_`, `drift_`, `replay_`;
those of one vendor or one kind of part with its own: `lance_`, `s3_`, `sql_`, `hot_`, `memory_`. docs/architecture.md
says where to begin.

Belongs here: S3, DuckDB, Lance, faiss, models, files, processes. Not here: rules (see the capability packages).
"""
