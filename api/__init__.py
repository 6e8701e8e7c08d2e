"""The registry's public face: where its documents are served."""
