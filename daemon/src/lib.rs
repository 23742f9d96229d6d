//! A Loopsy node. It is the only part that does anything; every surface asks it over HTTP.

pub mod agents;
pub mod app;
pub mod approvals;
pub mod audit;
pub mod config_watch;
pub mod context;
pub mod discovery;
pub mod events;
pub mod files;
pub mod fleet;
pub mod fsutil;
#[doc(hidden)]
pub mod fuzzing;
pub mod http;
pub mod identity;
pub mod jobs;
pub mod limits;
pub mod listen;
pub mod logging;
pub mod lp2;
pub mod network;
pub mod notify;
pub mod pairing;
pub mod peers;
pub mod run;
pub mod settings;
pub mod setup;
pub mod store;
pub mod supervisor;
pub mod tasks;
pub mod terminals;
pub mod tls;
pub mod transfers;
pub mod trust;
