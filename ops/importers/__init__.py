"""Readers of paper metadata from other places; each turns what a source says into drafts, without network."""
