//! The `starkwright` command.
fn main() {}
