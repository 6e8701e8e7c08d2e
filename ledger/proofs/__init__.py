"""What leaves a log to be checked elsewhere: receipts, proofs and log identities, and their offline verification."""
