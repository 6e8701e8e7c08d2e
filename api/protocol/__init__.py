"""The public protocol's own documents: schemas, context, keys and mirrors."""
