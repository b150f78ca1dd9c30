"""Training of Pressel's built-in command recogniser: render, train, evaluate, export, card."""

import os

# ONNX Runtime would send usage data; it looks at these when it is loaded.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
os.environ.setdefault("ORT_TELEMETRY_DISABLED", "1")
# Processes are forked after tokenizers were used, which else warns and then does this itself.
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
