"""Reading papers and single entries: records, histories, names, search, receipts and proofs."""
