"""People: a parametric body fitted to landmarks and silhouette, clothed by its mask, with a skin to pose it by."""
