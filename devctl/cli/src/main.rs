//! The devctl command.
fn main() {}
