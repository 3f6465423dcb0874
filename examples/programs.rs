//! Every example program does what its page says.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test may panic")]
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "a test starts programs")]

use std::process::Command;

fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    said
}

#[test]
fn a_program_keeps_a_host_in_order_and_takes_a_run_back() {
    let said = run(env!("CARGO_BIN_EXE_embed"), &[]);
    for part in ["install nginx", "file:/etc/hostname/motd failed", "were not reached", "is taken back"] {
        assert!(said.contains(part), "{part}: {said}");
    }
}

#[test]
fn a_type_of_ones_own_has_a_contract_and_converges() {
    let said = run(env!("CARGO_BIN_EXE_custom-resource"), &[]);
    for part in ["As in the tz database", "1 changed; /etc/timezone is Some(\"Europe/Zurich\\n\")"] {
        assert!(said.contains(part), "{part}: {said}");
    }
}

#[test]
fn a_command_line_of_ones_own_knows_its_types_and_those_of_debian() {
    let program = env!("CARGO_BIN_EXE_own-command-line");
    let said = run(program, &["plan", "--simulate", "own-command-line/site.ncl"]);
    for part in ["+ package:nginx", "~ motd:welcome", "Plan: 2 to change"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert!(run(program, &["schema", "motd"]).contains("What people read once they have logged in."));
}
