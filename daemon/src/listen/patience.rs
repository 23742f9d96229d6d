//! A connection whose reader must not stand still.
