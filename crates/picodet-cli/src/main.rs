//! The `picodet` command.

fn main() {}
