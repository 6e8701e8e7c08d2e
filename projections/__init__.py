"""What the log means: pure folds over entries, and the disposable tables that keep their results.

`judged` -> `status`, `summary`, `equivocations`, `document` are pure functions of a set of entries.
`projectors` turn them into rows, `runner` writes rows and cursor in one transaction, `rebuild` makes a
new generation beside the old one, `queries` reads.
"""
