//! A Loopsy node. It is the only part that does anything; every surface asks it over HTTP.

pub mod audit;
pub mod context;
pub mod events;
pub mod files;
pub mod jobs;
pub mod run;
pub mod setup;
pub mod store;
pub mod trust;
