//! Runs of coding agents.
