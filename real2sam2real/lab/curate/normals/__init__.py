"""Surface normals of a clip, by estimators that all answer in our axes."""
