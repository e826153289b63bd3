"""Pages for the people who run the platform, under `/ui`.

Belongs here: what a browser is shown. Not here: what the API answers (see
lakehouse_api/routes): pages call the same code.
"""
