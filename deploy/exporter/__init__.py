"""The exporter: what the tables say of the business and of the database, as metrics, at a cadence of its own.

Scraping asks Postgres nothing: the last look's figures are served, and their age with them.
"""
