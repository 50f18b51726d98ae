"""Weights and packages made by others: found here or on the hub, loaded whole, or said to be missing and how to get."""
