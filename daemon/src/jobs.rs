//! To come.

pub mod keeper;
