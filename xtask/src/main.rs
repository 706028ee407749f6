//! The commands a contributor runs.

fn main() {}
