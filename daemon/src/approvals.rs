//! What agents may do: facts about what they ask for, and the rules of the config.

pub(crate) mod canonical;
pub(crate) mod facts;
pub(crate) mod rules;
