//! The whole product from outside: real daemons, joined, driven through the real command line, the typed client and raw HTTP.
//!
//! Every test has its own home directory, data directory and free port on the loopback interface; none touches anything else, and none waits for a time where
//! it can wait for a condition.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails, and the place is its message")]

mod support;

#[path = "cases"]
mod cases {
    mod abuse;
    mod access;
    mod agents;
    mod agents_model;
    mod audit;
    mod bad_input;
    mod config;
    mod context;
    mod crates;
    mod docs;
    mod door;
    mod durability;
    mod events;
    mod fleet;
    mod hook;
    mod jobs;
    mod notify;
    mod pair;
    mod paired;
    mod pairing;
    mod peers;
    mod revoke;
    mod rogue;
    mod secrets;
    mod shapes;
    mod task_cli;
    mod tasks;
    mod terminals;
    mod transfers;
    mod tui;
    mod wire;
}
