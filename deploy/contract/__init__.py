"""The contract for other languages: JSON Schemas and an AsyncAPI document of the event classes, and what may change."""
