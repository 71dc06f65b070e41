"""What is made of a migrated database by `make schema`: `projections/sql/schema.sql` and `docs/database.md`."""
