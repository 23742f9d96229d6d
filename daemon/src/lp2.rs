//! Pairing protocol LP2, sans-I/O: two state machines that know no network, no clock and no disk.
