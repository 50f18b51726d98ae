"""Sets of cases in the formats of other methods, and which frames of their videos answer which frames of a case."""
