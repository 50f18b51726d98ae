"""The files that both sides know. A change of their meaning is a new PROTOCOL.

FOLDER/request/request.json        what is asked for
FOLDER/worker/                     this program
FOLDER/results/DIGEST.json         the values of a video
FOLDER/results/DIGEST.error.json   or why it has none
"""

from __future__ import annotations

PROTOCOL = 1

REQUEST = "request/request.json"
RESULTS = "results"

DIMENSIONS = (
    "subject_consistency",
    "background_consistency",
    "motion_smoothness",
    "aesthetic_quality",
    "imaging_quality",
)
