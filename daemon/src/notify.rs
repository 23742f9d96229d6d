//! Tells a person that something waits.
