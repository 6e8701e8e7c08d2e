"""Running the registry: commands, jobs, importers, mirrors and audits."""
