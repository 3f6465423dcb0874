//! Secrets: how they are kept, and that nothing shows them.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::requirements::{Missing, given, programs};
use crate::root_directory::{copy_programs, place};
use crate::{Place, Ran, provision};

const CANARY: &str = "canary-7Zq4-in-the-coal-mine";

/// A root directory with a site, and secrets beside it that this machine may read.
fn with_secrets(site: &str, secrets: &[(&str, &str)]) -> Result<Place, Missing> {
    let place = place(site)?;
    let made = secret(&place, "keygen --output identity", "");
    assert_eq!(made.code, 0, "{}", made.seen());
    let place = place.file("secrets/.recipients", &format!("# this machine\n{}", made.out));
    for (name, text) in secrets {
        let encrypted = secret(&place, &format!("encrypt {name}"), text);
        assert_eq!(encrypted.code, 0, "{}", encrypted.seen());
    }
    Ok(place)
}

/// Runs a verb on secrets.
fn secret(place: &Place, arguments: &str, stdin: &str) -> Ran {
    place.run_with(&format!("secret {arguments}"), &[("PROVISION_IDENTITY", "identity")], stdin)
}

/// Runs the program with the identity of this machine.
fn run(place: &Place, arguments: &str) -> Ran {
    place.run_with(arguments, &[("PROVISION_IDENTITY", "identity")], "")
}

const SITE: &str = r#"{ resources.file = {
  "/etc/app.conf" = {
    content = { secret_template = "user=app\npassword={{db/password}}\n" },
    mode = "0600",
  },
  "/etc/token" = { content = { secret = "env:APP_TOKEN" }, mode = "0640" },
} }"#;

#[test]
fn a_secret_reaches_its_file_and_no_screen() {
    let place = given!(with_secrets(SITE, &[("db/password", CANARY)]));
    let mut seen = Vec::new();
    let mut step = |arguments: &str, token: &str| {
        let ran = place.run_with(arguments, &[("PROVISION_IDENTITY", "identity"), ("APP_TOKEN", token)], "");
        seen.push(format!("$ provision {arguments}\n{}", ran.seen()));
        ran
    };
    step("plan --root root site.ncl", "token-1");
    assert_eq!(step("apply --jobs 1 --root root site.ncl", "token-1").code, 0);
    assert!(step("apply --root root site.ncl", "token-1").out.starts_with("Nothing to do"));
    assert_eq!(step("plan --root root --detailed-exitcode site.ncl", "token-2").code, 2);
    // What differs from run to run is the digest, whose key is the host's.
    insta::with_settings!({filters => vec![("[0-9a-f]{16}", "DIGEST")]}, {
        insta::assert_snapshot!("secrets", seen.join("\n"));
    });
    let written = fs::read_to_string(place.path("root/etc/app.conf")).unwrap();
    assert_eq!(written, format!("user=app\npassword={CANARY}\n"));
    assert_eq!(fs::read_to_string(place.path("root/etc/token")).unwrap(), "token-1");
    assert_eq!(fs::metadata(place.path("root/etc/app.conf")).unwrap().permissions().mode() & 0o777, 0o600);
}

/// The names of the files were one text, and the directory of the secrets what came before its last slash.
#[test]
fn a_saved_plan_of_several_files_finds_the_secrets_beside_the_first() {
    let place = given!(with_secrets(SITE, &[("db/password", CANARY)]));
    let place = place.file("web/secret.ncl", r#"{ resources.file."/etc/app.conf".content.secret = "db/password" }"#);
    let place = place.file("web/plain.ncl", r#"{ resources.file."/etc/plain".content = "" }"#);
    fs::rename(place.path("secrets"), place.path("web/secrets")).unwrap();
    let saved = run(&place, "plan --root root -o saved web/secret.ncl web/plain.ncl");
    assert_eq!(saved.code, 0, "{}", saved.seen());
    let applied = run(&place, "apply --root root saved");
    assert_eq!(applied.code, 0, "{}", applied.seen());
    assert_eq!(fs::read_to_string(place.path("root/etc/app.conf")).unwrap(), CANARY);
}

#[test]
fn a_secret_that_cannot_be_read_stops_everything_before_any_change() {
    let site = r#"{ resources.file = {
      "/etc/first".content = "written before the others if it were",
      "/etc/a" = { content = { secret = "db/pasword" }, mode = "0600" },
      "/etc/b" = { content = { secret_template = "{{env:NO_SUCH_VARIABLE}}" }, mode = "0600" },
      "/etc/c" = { content = { secret = "file:/no/such/file" }, mode = "0600" },
      "/etc/d" = { content = { secret = "command:false" }, mode = "0600" },
    } }"#;
    let place = given!(with_secrets(site, &[("db/password", CANARY)]));
    let ran = run(&place, "apply --root root site.ncl");
    assert_eq!(ran.code, 1);
    insta::assert_snapshot!("missing_secrets", ran.seen());
    assert!(!place.path("root/etc/first").exists());
    assert!(!place.path("root/var/lib/provision/runs").exists(), "nothing was begun, so nothing is in the journal");
    let without = place.run_with("secret decrypt db/password", &[("HOME", "/nowhere")], "");
    assert_eq!(without.code, 1);
    assert!(without.err.contains("--identity"), "{}", without.seen());
}

#[test]
fn a_file_with_a_secret_must_keep_others_out() {
    let site = r#"{ resources.file."/etc/a" = { content = { secret = "../x" }, mode = "0644" } }"#;
    let ran = Place::with(site).run("validate site.ncl");
    assert_eq!(ran.code, 3);
    insta::assert_snapshot!("open_secret", ran.seen());
}

/// Every file below a directory that holds a text.
fn holders(directory: &Path, text: &str, found: &mut Vec<String>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            holders(&path, text, found);
        } else if fs::read(&path).unwrap().windows(text.len()).any(|window| window == text.as_bytes()) {
            found.push(path.file_name().unwrap().to_string_lossy().into_owned());
        }
    }
}

/// Looks at the arguments of all processes until told to stop; whether a text was among the arguments.
fn watch_processes(text: &'static str) -> (Arc<AtomicBool>, std::thread::JoinHandle<bool>) {
    let stop = Arc::new(AtomicBool::new(false));
    let told = stop.clone();
    let watcher = std::thread::spawn(move || {
        let mut found = false;
        while !told.load(Ordering::Relaxed) {
            for process in fs::read_dir("/proc").unwrap().flatten() {
                let line = fs::read(process.path().join("cmdline")).unwrap_or_default();
                found |= String::from_utf8_lossy(&line).contains(text);
            }
        }
        found
    });
    (stop, watcher)
}

#[test]
fn a_canary_is_heard_nowhere_even_if_the_run_fails_half_way() {
    // The second file's validation repeats the secret, on both of its outputs, and fails.
    let site = r#"{ resources.file = {
      "/etc/app.conf" = { content = { secret_template = "password={{db/password}}\n" }, mode = "0600" },
      "/etc/bad.conf" = {
        content = { secret = "db/password" },
        mode = "0600",
        validate = "sh -c 'cat $0; cat $0 >&2; sleep 0.2; exit 1' %",
      },
    } }"#;
    let place = given!(with_secrets(site, &[("db/password", CANARY)]));
    let place = place.file("root/etc/bad.conf", "as it was\n");
    copy_programs(&place, &["sh", "cat", "sleep"]);
    let (stop, watcher) = watch_processes(CANARY);
    let mut said = String::new();
    for arguments in [
        "-vv plan --root root -o site.plan site.ncl",
        "-vv apply --root root site.ncl",
        "--format json apply --root root site.ncl",
        "--format json plan --root root site.ncl",
        "--format markdown plan --root root site.ncl",
        "-vv apply --root root site.plan",
        "show --root root",
        "--format json show --root root 1",
        "history --root root",
        "-vv rollback --plan --root root 1",
    ] {
        said += &run(&place, arguments).seen();
    }
    stop.store(true, Ordering::Relaxed);
    assert!(!watcher.join().unwrap(), "the secret was an argument");
    assert!(said.contains("did not pass its validation"), "{said}");
    assert!(said.contains(".provision\n    | exit code 1"), "{said}");
    assert!(!said.contains(CANARY), "{said}");
    assert_eq!(fs::read_to_string(place.path("root/etc/bad.conf")).unwrap(), "as it was\n");
    let mut found = Vec::new();
    holders(place.directory.path(), CANARY, &mut found);
    assert_eq!(found, ["app.conf"], "only the file that was declared has it");
}

const OLD: &str = "canary-of-a-closed-file-4Jw1";
const BELOW: &str = "canary-below-a-closed-directory-8Kp3";

/// Everything that the verbs print in each of their formats, on a host with files that not every user may read.
#[test]
fn no_verb_shows_in_any_format_what_not_everyone_may_read() {
    let site = |after: &str| {
        format!(
            r#"{{ resources = {{
              file."/etc/old.conf" = {{ content = "new\n", mode = "0600" }},
              file."/etc/closed/a.conf".content = "new\n",
              file."/etc/app.conf" = {{ content = {{ secret = "db/password" }}, mode = "0600" }},
              file."/etc/gone.conf".ensure = 'absent,
              {after}
            }}, on_failure = 'rollback }}"#
        )
    };
    let fails = r#"file."/etc/z" = {
        content = "z",
        validate = "sh -c 'exit 1' %",
        after = ["file:/etc/old.conf", "file:/etc/closed/a.conf", "file:/etc/app.conf", "file:/etc/gone.conf"],
    },"#;
    let place = given!(with_secrets(&site(""), &[("db/password", CANARY)]));
    let place = place.file("root/etc/old.conf", OLD).file("root/etc/gone.conf", OLD);
    let place = place.file("root/etc/closed/a.conf", BELOW).file("fails.ncl", &site(fails));
    let place = place.file("without.ncl", r#"{ resources.file."/etc/app.conf".ensure = 'absent }"#);
    for (path, mode) in [("root/etc/old.conf", 0o600), ("root/etc/gone.conf", 0o640), ("root/etc/closed", 0o700)] {
        fs::set_permissions(place.path(path), fs::Permissions::from_mode(mode)).unwrap();
    }
    copy_programs(&place, &["sh"]);
    let place = place.file("root/etc/os-release", "ID=debian\nVERSION_ID=\"12\"\n");
    let mut said = String::new();
    let mut once = |arguments: &str| said += &format!("$ {arguments}\n{}", run(&place, arguments).seen());
    const FORMATS: [&str; 4] = ["--format text", "-vv --format text", "--format json", "--format markdown"];
    let looks =
        ["show --root root", "history --root root", "rollback --root root --plan", "plan --root root without.ncl"];
    let begins = ["validate site.ncl", "graph site.ncl", "plan --root root fails.ncl", "record host --root root"];
    for format in FORMATS {
        begins.iter().for_each(|verb| once(&format!("{format} {verb}")));
        once(&format!("{format} apply --root root fails.ncl"));
        once(&format!("{format} apply --root root site.ncl"));
        looks.iter().for_each(|verb| once(&format!("{format} {verb}")));
        once(&format!("{format} apply --root root without.ncl"));
        looks.iter().for_each(|verb| once(&format!("{format} {verb}")));
        once(&format!("{format} rollback --root root"));
        once(&format!("{format} rollback --root root"));
    }
    assert!(said.contains("\"rollback_started\"") && said.contains("provision/rollback/1"), "{said}");
    for canary in [CANARY, OLD, BELOW] {
        let at = said.find(canary).map(|at| said[..at].rfind("$ ").unwrap_or_default());
        assert!(at.is_none(), "{canary} is in {}", &said[at.unwrap_or_default()..]);
    }
}

#[test]
fn a_secret_that_goes_is_sealed_in_the_journal_and_comes_back() {
    let place = given!(with_secrets(SITE, &[("db/password", CANARY)]));
    let apply = "apply --root root site.ncl";
    let environment = [("PROVISION_IDENTITY", "identity"), ("APP_TOKEN", "token")];
    assert_eq!(place.run_with(apply, &environment, "").code, 0);
    fs::write(place.path("site.ncl"), r#"{ resources.file."/etc/app.conf".ensure = 'absent }"#).unwrap();
    assert_eq!(place.run_with(apply, &environment, "").code, 0);
    let mut found = Vec::new();
    holders(place.directory.path(), CANARY, &mut found);
    assert!(found.is_empty(), "{found:?}");
    let undone = run(&place, "rollback --root root");
    assert_eq!(undone.code, 0, "{}", undone.seen());
    assert!(!undone.seen().contains(CANARY), "{}", undone.seen());
    assert!(fs::read_to_string(place.path("root/etc/app.conf")).unwrap().contains(CANARY));
}

#[test]
fn a_saved_plan_does_not_outlive_its_secret() {
    let place = given!(with_secrets(SITE, &[("db/password", CANARY)]));
    let environment = |token| [("PROVISION_IDENTITY", "identity"), ("APP_TOKEN", token)];
    assert_eq!(place.run_with("plan --root root -o site.plan site.ncl", &environment("one"), "").code, 0);
    let other = place.run_with("apply --root root site.plan", &environment("two"), "");
    assert_eq!(other.code, 4, "{}", other.seen());
    assert!(!place.path("root/etc/token").exists());
    let same = place.run_with("apply --root root site.plan", &environment("one"), "");
    assert_eq!(same.code, 0, "{}", same.seen());
    assert_eq!(fs::read_to_string(place.path("root/etc/token")).unwrap(), "one");
}

#[test]
fn hosts_join_by_their_recipients() {
    let place = given!(with_secrets("{}", &[("db/password", CANARY), ("api", "key")]));
    let other = secret(&place, "keygen --output other", "").out;
    let theirs = |arguments: &str| place.run_with(&format!("secret {arguments} --identity other"), &[], "");
    let refused = theirs("decrypt api");
    assert_eq!(refused.code, 1);
    let before = fs::read_to_string(place.path("secrets/.recipients")).unwrap();
    fs::write(place.path("secrets/.recipients"), format!("{before}{other}")).unwrap();
    assert_eq!(secret(&place, "rekey", "").out, "api\ndb/password\n");
    assert_eq!(theirs("decrypt db/password").out, CANARY);
    assert_eq!(fs::metadata(place.path("other")).unwrap().permissions().mode() & 0o777, 0o600);
    let twice = secret(&place, "keygen --output other", "");
    assert_eq!(twice.code, 1);
    assert!(twice.err.contains("exists already"), "{}", twice.seen());
    let seen = [refused.seen(), theirs("decrypt nothing").seen(), secret(&place, "encrypt ../api", "x").seen()];
    insta::assert_snapshot!("secret_mistakes", seen.join("\n"));
}

#[test]
fn a_secret_is_edited_in_the_editor_of_the_user() {
    let place = given!(with_secrets("{}", &[("api", "old\n")]));
    let edit = |editor: &str, name: &str| {
        place.run_with(&format!("secret edit {name}"), &[("PROVISION_IDENTITY", "identity"), ("EDITOR", editor)], "")
    };
    let edited = edit("sed -i s/old/new/", "api");
    assert_eq!(edited.code, 0, "{}", edited.seen());
    assert_eq!(secret(&place, "decrypt api", "").out, "new\n");
    assert!(edit("true", "api").out.contains("unchanged"));
    let failed = edit("false", "api");
    assert_eq!(failed.code, 1, "an editor that fails has changed nothing: {}", failed.seen());
    assert_eq!(edit("cp identity", "fresh/one").code, 0, "a new secret is made");
    assert!(secret(&place, "decrypt fresh/one", "").out.contains("AGE-SECRET-KEY"));
}

/// Runs the program `age` or `age-keygen` of the system.
fn age(place: &Place, program: &str, arguments: &[&str], stdin: &[u8]) -> Vec<u8> {
    let mut child = Command::new(program)
        .args(arguments)
        .current_dir(place.directory.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(stdin).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{program} {arguments:?}");
    output.stdout
}

#[test]
fn files_are_those_of_the_age_program_and_the_reverse() {
    given!(programs(&["age", "age-keygen"]));
    let place = given!(with_secrets("{}", &[("db/password", CANARY)]));
    let opened = age(&place, "age", &["--decrypt", "-i", "identity", "secrets/db/password.age"], b"");
    assert_eq!(opened, CANARY.as_bytes());
    // Their identity, their recipient file, their encryption, in both of age's forms.
    age(&place, "age-keygen", &["-o", "theirs"], b"");
    let recipient = String::from_utf8(age(&place, "age-keygen", &["-y", "theirs"], b"")).unwrap();
    fs::write(place.path("secrets/.recipients"), recipient).unwrap();
    for form in [&["-e"][..], &["-e", "--armor"]] {
        let arguments = [form, &["-R", "secrets/.recipients", "-o", "secrets/api.age"]].concat();
        age(&place, "age", &arguments, b"from age\n");
        let read = place.run("secret decrypt api --identity theirs");
        assert_eq!(read.out, "from age\n", "{form:?}: {}", read.seen());
    }
    assert_eq!(place.run_with("secret encrypt back", &[], "and back").code, 0);
    let back = age(&place, "age", &["-d", "-i", "theirs", "secrets/back.age"], b"");
    assert_eq!(back, b"and back");
}

#[test]
fn memory_that_holds_secrets_is_in_no_core_dump() {
    // The second secret keeps the program waiting when it has read the first.
    let site = r#"{ resources.file."/etc/a" = {
      content = { secret_template = "{{a}}{{command:sleep 30}}" }, mode = "0600",
    } }"#;
    let place = given!(with_secrets(site, &[("a", CANARY)]));
    let mut child = Command::new("bash")
        .args(["-c", "ulimit -c unlimited; exec \"$0\" apply --root root --identity identity site.ncl"])
        .arg(provision())
        .current_dir(place.directory.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let pid = nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap());
    let children = format!("/proc/{pid}/task/{pid}/children");
    let child_of_it = || fs::read_to_string(&children).unwrap().trim().parse::<i32>().ok();
    let started = std::time::Instant::now();
    while child_of_it().is_none() && started.elapsed().as_secs() < 20 {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    let waits_for = nix::unistd::Pid::from_raw(child_of_it().expect("the run asks for the second secret"));
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGABRT).unwrap();
    child.wait().unwrap();
    nix::sys::signal::kill(waits_for, nix::sys::signal::Signal::SIGKILL).unwrap();
    let cores = fs::read_dir(place.directory.path()).unwrap().flatten();
    let cores = cores.filter(|entry| entry.file_name().to_string_lossy().starts_with("core"));
    assert_eq!(cores.count(), 0);
}

#[test]
fn a_file_that_is_no_secret_any_more_does_not_show_the_old_one() {
    let place = given!(with_secrets(SITE, &[("db/password", CANARY)]));
    let environment = [("PROVISION_IDENTITY", "identity"), ("APP_TOKEN", "token")];
    assert_eq!(place.run_with("apply --root root site.ncl", &environment, "").code, 0);
    fs::write(place.path("site.ncl"), r#"{ resources.file."/etc/app.conf" = { content = "plain\n", mode = "0600" } }"#)
        .unwrap();
    for format in ["text", "json", "markdown"] {
        let planned = place.run(&format!("--format {format} plan --root root site.ncl"));
        assert_eq!(planned.code, 0, "{}", planned.seen());
        assert!(planned.out.contains("plain") && !planned.out.contains(CANARY), "{}", planned.seen());
    }
}

#[test]
fn an_interrupt_is_for_the_editor_and_leaves_nothing_behind() {
    let place = given!(with_secrets("{}", &[("api", CANARY)]));
    let place = place.file("editor", "#!/bin/sh\ntrap : INT\nkill -INT $PPID\nsleep 0.3\necho new > \"$1\"\n");
    fs::set_permissions(place.path("editor"), fs::Permissions::from_mode(0o755)).unwrap();
    fs::create_dir(place.path("memory")).unwrap();
    let (editor, memory) = (place.path("editor"), place.path("memory"));
    let environment = [
        ("PROVISION_IDENTITY", "identity"),
        ("EDITOR", editor.to_str().unwrap()),
        ("XDG_RUNTIME_DIR", memory.to_str().unwrap()),
    ];
    let edited = place.run_with("secret edit api", &environment, "");
    assert_eq!(edited.code, 0, "{}", edited.seen());
    assert_eq!(secret(&place, "decrypt api", "").out, "new\n");
    assert_eq!(fs::read_dir(&memory).unwrap().count(), 0);
}

#[test]
fn nothing_is_no_secret_and_other_directories_are_none() {
    let place = given!(with_secrets("{}", &[("api", "key")]));
    let refused = secret(&place, "encrypt empty", "");
    assert_eq!(refused.code, 1);
    assert!(refused.err.contains("nothing was given for the secret `empty`"), "{}", refused.seen());
    let place = place.file("secrets/old stuff/x.age", "no secret of this store");
    assert_eq!(secret(&place, "rekey", "").out, "api\n");
}

const OPEN: &str = "canary-of-a-sensitive-resource-3Hx9";

/// The file may be read by all of its host, and its content is nothing for a screen, a pipeline or a log.
#[test]
fn what_is_declared_as_sensitive_is_so_in_its_undo_as_well() {
    let with = |after: &str| {
        let file = format!("content = \"{OPEN} one\\n\", sensitive = true");
        format!(
            "{{ name = \"site\", resources = {{ file.\"/etc/open.conf\" = {{ {file} }}, {after} }}, on_failure = 'rollback }}"
        )
    };
    let fails =
        "file.\"/etc/z\" = { content = \"z\", validate = \"sh -c 'exit 1' %\", after = [\"file:/etc/open.conf\"] }";
    let place = given!(place(&with("")));
    let place = place.file("fails.ncl", &with(fails)).file("other.ncl", &with("").replace("one", "two"));
    let place = place.file("gone.ncl", "{ name = \"site\", resources = {} }");
    let place =
        place.file("absent.ncl", "{ resources.file.\"/etc/open.conf\" = { ensure = 'absent, sensitive = true } }");
    copy_programs(&place, &["sh"]);
    let mut said = String::new();
    for format in ["--format text", "-vv --format text", "--format json", "--format markdown"] {
        // A run has no report in Markdown.
        let of_runs = format.replace("markdown", "text");
        let mut once = |arguments: &str| {
            let is_run = arguments.starts_with("apply")
                || arguments.starts_with("rollback --root root ") && !arguments.ends_with("--plan");
            let format = if is_run { of_runs.as_str() } else { format };
            let ran = place.run(&format!("{format} {arguments}"));
            said += &format!("$ {format} {arguments}\n{}", ran.seen());
            ran.code
        };
        let looks = ["show --root root", "history --root root", "rollback --root root --plan"];
        once("plan --root root fails.ncl");
        assert_eq!(once("apply --root root fails.ncl"), 1);
        looks.iter().for_each(|verb| _ = once(verb));
        for run in [
            "apply site.ncl",
            "apply other.ncl",
            "apply --prune gone.ncl",
            "rollback",
            "apply absent.ncl",
            "rollback",
            "rollback",
        ] {
            let (verb, arguments) = run.split_once(' ').unwrap_or((run, ""));
            once(&format!("plan --root root {}", if arguments.is_empty() { "site.ncl" } else { arguments }));
            assert_eq!(once(&format!("{verb} --root root {arguments}")), 0);
            looks.iter().for_each(|verb| _ = once(verb));
        }
        once("plan -o a.plan --root root absent.ncl");
        said += &fs::read_to_string(place.path("a.plan")).unwrap();
        fs::remove_dir_all(place.path("root/var")).unwrap();
        fs::remove_file(place.path("root/etc/open.conf")).unwrap_or_default();
    }
    assert!(said.contains("<sensitive>") && said.contains("\"rollback_started\""), "{said}");
    let shown: Vec<&str> = said.lines().filter(|line| line.starts_with("$ ") || line.contains(OPEN)).collect();
    let leaks: Vec<&[&str]> = shown.windows(2).filter(|pair| pair[1].contains(OPEN)).collect();
    assert!(leaks.is_empty(), "{leaks:#?}");
}

/// A part of a secret had been shown, as the file that holds it was in sync.
#[test]
fn the_words_of_a_validator_are_not_shown_beside_a_secret() {
    let site = r#"{ resources = {
      validation.app = { command = ["sh", "-c", "grep -o hunt.* /etc/app/s >&2; exit 1"], paths = ["/etc/app"] },
      file."/etc/app/s" = { content = { secret = "conf" }, mode = "0600" },
      file."/etc/app/b".content = "two\n",
    } }"#;
    let secret = "user=bob\npass=hunter2secret\n";
    let place = given!(with_secrets(site, &[("conf", secret)]));
    copy_programs(&place, &["sh", "grep"]);
    let file = place.path("root/etc/app/s");
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(&file, secret).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let ran = run(&place, "apply --root root site.ncl");
    assert_eq!(ran.code, 1, "{}", ran.seen());
    assert!(ran.out.contains("refuses what is about to change") && !ran.seen().contains("hunter2"), "{}", ran.seen());
}
