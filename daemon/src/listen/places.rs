//! Counts connections by source and knows which to give up first.
