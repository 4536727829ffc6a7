//! Runs a graph: plan, then run.
