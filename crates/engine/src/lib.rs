//! Runs a configuration: runners, supervision, ledger, reports.
