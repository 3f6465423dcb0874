use super::*;
use crate::testing::{converge, in_words, mistakes};
use proptest::prelude::*;
use provision_core::error::ErrorKind;
use provision_core::host::HostViewExt;
use provision_core::sim::SimHost;

fn cron() -> SimHost {
    SimHost::debian(13).with_package("cron")
}

fn id(name: &str) -> ResourceId {
    ResourceId::new("cron", name)
}

#[test]
fn a_job_is_a_file_with_an_end_of_its_last_line() {
    let host = cron().with_user("backup-user");
    let job = Cron {
        user: Some("backup-user".into()),
        environment: [("MAILTO".into(), "".into()), ("GREETING".into(), " say \"hi\" ".into())].into(),
        ..Cron::new("30 3 * * 1-5", "backup --day $(date +%d)")
    };
    converge(&host, "backup", job).unwrap();
    insta::assert_snapshot!(host.read_text("/etc/cron.d/backup").unwrap().unwrap(), @r#"
    # Managed by provision: cron:backup
    GREETING=' say "hi" '
    MAILTO=""
    30 3 * * 1-5 backup-user backup --day $(date +\%d)
    "#);
}

/// `e2fsprogs` brings `/etc/cron.d` to every host, whether or not there is a cron.
#[test]
fn a_job_that_nothing_would_run_is_refused() {
    let error = converge(&SimHost::debian(13), "backup", Cron::new("@daily", "true")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(error.message(), "nothing reads /etc/cron.d/backup: the package cron is not installed");
    assert_eq!(error.hint(), Some("declare `package.cron = {}`"));
    let absent = Cron { ensure: Ensure::Absent, ..Cron::default() };
    assert!(converge(&SimHost::debian(13), "backup", absent).unwrap().is_empty());
    // Others run it as well.
    assert!(converge(&SimHost::debian(13).with_package("systemd-cron"), "backup", Cron::new("@daily", "true")).is_ok());
}

#[test]
fn another_comment_restarts_nothing_and_other_words_do() {
    let there = |text: &str| cron().with_file("/etc/cron.d/a", text);
    let daily = || Cron::new("0 1 * * *", "printf 'a  b'");
    for same in ["0 1 * * * root printf 'a  b'\n", "# mine\n\n0\t1 * *  * root\tprintf 'a  b'\n#end\n"] {
        assert!(converge(&there(same), "a", daily()).unwrap().is_empty(), "{same:?}");
    }
    for other in
        ["0 1 * * * root printf 'a b'\n", "0 2 * * * root printf 'a  b'\n", "0 1 * * * root printf 'a  b'", "X=1\n", ""]
    {
        let effects = converge(&there(other), "a", daily()).unwrap();
        assert_eq!(in_words(&effects), ["write /etc/cron.d/a"], "{other:?}");
    }
}

#[test]
fn a_file_that_cron_ignores_for_its_mode_is_mended_and_its_words_are_left() {
    let text = "# mine\n0 1 * * * root true\n";
    let host = cron().with_file("/etc/cron.d/a", text).with_access("/etc/cron.d/a", "games", "games", 0o664);
    let effects = converge(&host, "a", Cron::new("0 1 * * *", "true")).unwrap();
    assert_eq!(in_words(&effects), ["set owner root group root mode 0644 of /etc/cron.d/a"]);
    assert_eq!(host.read_text("/etc/cron.d/a").unwrap().as_deref(), Some(text));
}

#[test]
fn what_cron_would_pass_over_without_a_word_is_a_mistake() {
    let said = |name: &str, job: Cron| mistakes(name, &job).join("; ");
    for name in ["a.b", "a b", "", "ä", "a~"] {
        assert!(said(name, Cron::new("@daily", "true")).contains("passes over"), "{name}");
    }
    for schedule in [
        "@dayly",
        "* * * *",
        "* * * * * *",
        "60 * * * *",
        "* 24 * * *",
        "* * 0 * *",
        "* * * 13 *",
        "* * * * 8",
        "5-1 * * * *",
        "*/0 * * * *",
        "5/10 * * * *",
        "* * * jan-march *",
        "*/60 * * * *",
        "* * * * fri-mon",
        "0~30 * * * *",
        "@Daily",
        "1,,2 * * * *",
        "+1 * * * *",
        "",
        "@daily\n",
    ] {
        assert!(!said("a", Cron::new(schedule, "true")).is_empty(), "{schedule:?}");
    }
    for schedule in [
        "@midnight",
        "*/5 0-23/2 1,15 JAN sun",
        "0 0 * jan-mar mon-fri",
        "0 0 * * mon,WED",
        "0\t0 1-31 * 7",
        "00 01 * * 1-5",
    ] {
        assert_eq!(said("a", Cron::new(schedule, "true")), "", "{schedule:?}");
    }
    insta::assert_snapshot!(
        [
            said("a", Cron::default()),
            said("a", Cron::new("@daily", "date +\\%d")),
            said("a", Cron::new("@daily", "a\nb")),
            said("a", Cron::new("@daily", "x".repeat(999))),
            said("a", Cron { user: Some("a b".into()), ..Cron::new("61 * * * *", "true") }),
            said("a", Cron { environment: [("A B".into(), "".into())].into(), ..Cron::new("@daily", "true") }),
        ].join("\n"),
        @r#"
    schedule: a job needs a `schedule`; command: a job needs a `command`
    command: `%` is escaped already
    command: a job is one line, without control characters
    command: cron takes at most 998 characters
    schedule: "61" is not a minute: a number from 0 to 59, a range such as 0-59, `*`, or `*/2`; user: "a b" is not the name of a user
    environment.A B: "A B" is not the name of a variable
    "#
    );
}

/// The command of a line; `None` if a `%` ends it.
fn as_cron_reads(text: &str) -> Option<String> {
    let mut read = String::new();
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '\\' => read.push(characters.next_if(|next| "\\%".contains(*next)).unwrap_or('\\')),
            '%' => return None,
            other => read.push(other),
        }
    }
    Some(read)
}

#[test]
fn what_is_special_to_cron_reaches_the_shell() {
    let written = |command: &str| {
        let text = Cron::new("@daily", command).text(&id("a")).unwrap();
        text.reveal().unwrap().lines().last().unwrap().to_owned()
    };
    assert_eq!(written("sed 's/\\\\n/x/' | date +%d\n"), r"@daily root sed 's/\\\\n/x/' | date +\%d");
}

#[test]
fn a_variable_that_cron_would_misread_is_a_mistake() {
    let said = |name: &str, value: &str| {
        let job = Cron { environment: [(name.into(), value.into())].into(), ..Cron::new("@daily", "true") };
        mistakes("a", &job).join("; ")
    };
    for (name, value) in [
        ("PATH", "$HOME/bin:/bin"),
        ("PATH", "~/bin"),
        ("LOGNAME", "x"),
        ("CRON_TZ", "UTC"),
        ("A", "\"'"),
        ("A", "a\nb"),
        ("1A", ""),
        ("", "x"),
    ] {
        assert!(said(name, value).starts_with("environment."), "{name}={value}");
    }
    assert_eq!(said("PASSWORD", "$1~"), "");
    assert!(!said("A", &"x".repeat(990)).is_empty());
}

proptest! {
    /// Whatever is declared and valid, cron finds as it was declared.
    #[test]
    fn what_is_written_means_what_is_declared(command in "[ -~]{1,40}", value in "[ -~]{0,12}", minute in 0u32..60) {
        let job = Cron { environment: [("NAME".into(), value.clone())].into(), ..Cron::new(format!("{minute} * * * *"), command) };
        prop_assume!(job.mistakes(&id("a")).is_empty());
        let text = job.text(&id("a")).unwrap().reveal().unwrap().to_owned();
        let lines: Vec<&str> = text.lines().collect();
        prop_assert_eq!(lines.len(), 3);
        let quote = &lines[1][5..6];
        prop_assert_eq!(lines[1], format!("NAME={quote}{value}{quote}"));
        let start = format!("{minute} * * * * root ");
        let read = as_cron_reads(lines[2].strip_prefix(&start).unwrap());
        prop_assert_eq!(read, job.command.clone());
        prop_assert!(job.means(&text).is_some());
    }

    #[test]
    fn no_text_makes_it_panic(schedule in ".{0,20}", text in ".{0,60}") {
        let job = Cron::new(schedule, "true");
        let _ = (job.mistakes(&id("a")), job.means(&text));
    }
}

/// cron drops a job of a user that is not there, and says so in its log alone.
#[test]
fn a_job_of_a_user_that_is_not_there_is_refused() {
    let job = Cron { user: Some("ghost".into()), ..Cron::new("@daily", "true") };
    let error = converge(&cron(), "a", job).unwrap_err();
    assert_eq!((error.kind(), error.message()), (ErrorKind::NotFound, "there is no user ghost"));
    let numbered = Cron { user: Some("1000".into()), ..Cron::new("@daily", "true") };
    assert_eq!(mistakes("a", &numbered).len(), 1, "getpwnam(3) takes it for a name");
}

#[test]
fn a_file_that_cron_would_refuse_is_not_the_same_in_other_words() {
    for broken in ["0 1 * * * root true\r\n", "\u{a0}0 1 * * * root true\n", "\u{c}0 1 * * * root true\n"] {
        let host = cron().with_file("/etc/cron.d/a", broken);
        assert_eq!(converge(&host, "a", Cron::new("0 1 * * *", "true")).unwrap().len(), 1, "{broken:?}");
    }
}
