//! Runs of coding agents.

pub(crate) mod worktree;
