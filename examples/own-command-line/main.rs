//! A command line of one's own: all verbs of `provision`, with a resource type more.
//!
//! `cargo run -p provision-examples --bin own-command-line -- plan --simulate examples/own-command-line/site.ncl`

use std::process::ExitCode;

use provision_tested_type::Motd;

fn main() -> ExitCode {
    provision_cli::run(&provision_resources::registry().with::<Motd>())
}
