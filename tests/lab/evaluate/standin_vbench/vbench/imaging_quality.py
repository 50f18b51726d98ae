"""As the real package, one module a dimension."""
