//! Starkwright.
