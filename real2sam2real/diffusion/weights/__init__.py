"""Base weights and adapters of the full-scale generator: where they lie, how they are named, how they are loaded.

`keys` (names), `files` and `gguf_file` (readers), `base` and `hub` (where the parts are), `load` (the parts
themselves), `adapter_file` (an adapter as read), `adapters` (adapters on a transformer), `export` (adapters written).
"""
