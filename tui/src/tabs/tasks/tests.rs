//! Tests of the tasks.
