//! The command line of provision, with Debian's types.

use std::process::ExitCode;

fn main() -> ExitCode {
    provision_cli::run(&provision_resources::registry())
}
