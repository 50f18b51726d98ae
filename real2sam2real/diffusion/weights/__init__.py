"""Base weights and adapters of the full-scale generator: where they lie, how they are named, how they are loaded.

`keys` (names), `files` (readers), `base` (where the components are), `load` (the components themselves),
`adapter_file` (an adapter as read), `adapters` (adapters on a transformer), `export` (adapters written).
"""
