"""The files and lines that both sides know. A change of their meaning is a new PROTOCOL.

FOLDER/request/request.json   what is asked for
FOLDER/request/*.npy          photo, pointmap, masks
FOLDER/worker/                this program
FOLDER/results/ENTITY/        result.json and mesh.npz, or error.json; written whole or not at all
FOLDER/status.json            what the worker is doing
"""

from __future__ import annotations

PROTOCOL = 1

REQUEST = "request/request.json"
RESULTS = "results"
STATUS = "status.json"
RESULT = "result.json"
MESH = "mesh.npz"
ERROR = "error.json"
