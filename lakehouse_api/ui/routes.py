"""The pages there are.

Belongs here: the list. Not here: what they do (see each).
"""

from __future__ import annotations

from lakehouse_api.ui import (
    corpora_page,
    datasets_page,
    docs_page,
    drift_page,
    fill_page,
    health_page,
    job_pages,
    login,
    memory_page,
    replay_form,
    replay_page,
    runs_page,
    search_page,
    sql_page,
    static_files,
    triage_page,
    upload,
)

PAGES = tuple(
    module.router
    for module in (
        static_files, login, fill_page, search_page, datasets_page, upload, sql_page, job_pages, memory_page, runs_page,
        corpora_page, triage_page, drift_page, replay_form, replay_page, health_page, docs_page,
    )
)  # fmt: skip
