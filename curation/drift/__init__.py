"""Whether production still looks like what the model was calibrated on; see docs/drift.md."""
