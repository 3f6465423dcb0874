use super::*;
use crate::testing::{converge, mistakes};
use proptest::prelude::*;
use provision_core::host::HostViewExt;
use provision_core::sim::SimHost;

fn timer(attributes: Value) -> Timer {
    serde_json::from_value(attributes).unwrap()
}

fn id() -> ResourceId {
    ResourceId::new("timer", "backup")
}

#[test]
fn a_timer_is_a_unit_file() {
    let host = SimHost::debian(13);
    let declared = json!({
        "calendar": ["Mon..Fri 03:30", "*-*-01 00:00 UTC"], "after_boot": "5m", "persistent": true, "random_delay": "1h",
        "accuracy": "1s", "unit": "apt-daily.service",
    });
    converge(&host, "backup", timer(declared)).unwrap();
    insta::assert_snapshot!(host.read_text("/etc/systemd/system/backup.timer").unwrap().unwrap(), @r"
    # Managed by provision: timer:backup
    [Timer]
    AccuracySec=1s
    OnBootSec=5m
    OnCalendar=Mon..Fri 03:30
    OnCalendar=*-*-01 00:00 UTC
    Persistent=yes
    RandomizedDelaySec=1h
    Unit=apt-daily.service

    [Install]
    WantedBy=timers.target
    ");
    let every = timer(json!({ "every": "15m" })).sections();
    assert!(
        unit_file::render(&every).contains("OnBootSec=15m\nOnUnitActiveSec=15m\n"),
        "it would never begin otherwise"
    );
}

#[test]
fn a_command_is_escaped() {
    let service = |attributes: Value| unit_file::render(&timer(attributes).service().unwrap().settings);
    insta::assert_snapshot!(service(json!({ "command": ["/bin/date", "+%d", "$HOME", "a \"b\"\\", ";", "a\tb"], "user": "games" })), @r#"
    [Service]
    ExecStart="/bin/date" "+%%d" "$$HOME" "a \"b\"\\" ";" "a\x09b"
    Type=oneshot
    User=games
    "#);
}

#[test]
fn a_timer_comes_with_a_service_that_it_starts_and_is_enabled() {
    let brings = |attributes: Value| Timer::companions(&[(&id(), &timer(attributes))]).len();
    assert_eq!(brings(json!({ "calendar": "daily", "command": "true" })), 2);
    assert_eq!(brings(json!({ "calendar": "daily" })), 1);
    assert_eq!(brings(json!({ "ensure": "absent", "command": "true" })), 1);
    assert_eq!(brings(json!({ "ensure": "absent" })), 0);
}

#[test]
fn a_timer_that_would_start_nothing_is_refused() {
    let error = converge(&SimHost::debian(13), "backup", timer(json!({ "calendar": "daily" }))).unwrap_err();
    assert_eq!(error.message(), "the timer would have no effect: there is no unit backup.service");
    let error =
        converge(&SimHost::debian(13), "backup", timer(json!({ "calendar": "03:00 Europe/Nope", "command": "true" })));
    assert_eq!(error.unwrap_err().message(), "systemd would not load the timer: there is no time zone Europe/Nope");
}

#[test]
fn what_would_not_do_what_it_says_is_a_mistake() {
    let said = |name: &str, attributes: Value| mistakes(name, &timer(attributes)).join("; ");
    let daily = || json!({ "calendar": "daily" });
    for name in ["", "a b", "a@", "@a", "a/b", "a.timer", "a.service"] {
        assert_ne!(said(name, daily()), "", "{name:?}");
    }
    for name in ["backup", "backup.daily", "backup@one"] {
        assert_eq!(said(name, daily()), "", "{name:?}");
    }
    for wrong in [
        json!({}),
        json!({ "calendar": [] }),
        json!({ "every": "15m", "calendar": "daily" }),
        json!({ "every": "0s" }),
        json!({ "every": "15m", "persistent": true }),
        json!({ "after_boot": "1m", "unit": "backup" }),
        json!({ "after_boot": "1m", "unit": "backup.timer" }),
        json!({ "after_boot": "1m", "unit": "backup@.service" }),
        json!({ "after_boot": "1m", "unit": "a.service", "command": "true" }),
        json!({ "after_boot": "1m", "user": "games" }),
        json!({ "after_boot": "1m", "command": "true", "user": "" }),
        json!({ "after_boot": "1m", "command": "bin/true" }),
        json!({ "after_boot": "1m", "command": "-true" }),
        json!({ "after_boot": "1m", "command": "/usr/bin/" }),
        json!({ "after_boot": "1m", "command": "true | false" }),
    ] {
        assert_ne!(said("backup", wrong.clone()), "", "{wrong}");
    }
    insta::assert_snapshot!(
        [
            said("backup", json!({ "calendar": "*/15 * * * *", "persistent": true, "command": "a && b" })),
            said("backup", json!({ "calendar": ["daily", "2025-02-30", "@daily"], "unit": "x" })),
            said("backup.timer", json!({ "every": "1h", "persistent": true, "user": "a" })),
        ].join("\n"),
        @r#"
    calendar: "*/15 * * * *" is not a calendar event; command: '&' would need a shell, and commands run without one
    unit: a timer cannot start "x"; calendar.1: "2025-02-30" never comes; calendar.2: "@daily" is not a calendar event
    : the name goes without a suffix; persistent: only events of `calendar` are made up for; user: it is the user of `command`
    "#
    );
}

/// As `systemd-analyze calendar` of Debian 12 and 13 answers.
#[test]
fn calendar_events_are_those_of_systemd() {
    for right in [
        "daily",
        "Daily",
        "daily UTC",
        "Mon",
        "Mon-Fri",
        "Sat *-*-1..7",
        "*-*~1",
        "*-*~07/1",
        "*-*~28",
        "*-*~1,25",
        "*:0/15",
        "*:*:0/30",
        "*:30",
        "03:00 Europe/Berlin",
        "weekly Etc/GMT+5",
        "12-25 3:00 utc",
        "00:00:00.5",
        "1..5/2:0",
        "9..17/2:00",
        "30-1-1",
        "*-1-1,2",
        "mon..fri 9:30",
        "Monday,Tue",
        "*-*-1..1",
        "*-*",
        "*-02-29",
        "Mon 2025-01-06",
        "2025-12-31 23:59:59",
    ] {
        assert_eq!(calendar::mistake(right), None, "{right}");
    }
    for wrong in [
        "",
        " ",
        "*/15 * * * *",
        "@daily",
        "25:00",
        "*:60",
        "*:*:*/30",
        "2025-02-30",
        "*-02-30",
        "*-2~29",
        "*-*~1,26",
        "*-04-31",
        "Mon 2025-01-07",
        "1969-01-01",
        "Fri..Mon",
        "*-*-31/5",
        "*-*-1/31",
        "*-*-5..3",
        "0,12",
        "12",
        "12:",
        ":30",
        "Mond",
        "2025-*",
        "1:2:3 4",
        "*",
        "tomorrow",
        "every 5min",
        "1d",
        "daily Europe Berlin",
        "*-*-* *-*-*",
        "*-1-1,",
        "0:00 +1",
        "daily\n",
        "*:0/0",
        "-1:00",
        "*:00.5",
    ] {
        assert!(calendar::mistake(wrong).is_some(), "{wrong}");
    }
}

proptest! {
    #[test]
    fn no_text_is_too_odd(text in "\\PC{0,30}", parts in "[-0-9*~/.,: a-zMU]{0,30}") {
        let _ = (calendar::mistake(&text), calendar::mistake(&parts));
    }

    /// Fields of numbers that a calendar has are taken, in each form.
    #[test]
    fn what_a_calendar_has_is_taken(month in 1u32..=12, day in 1u32..=28, hour in 0u32..24, minute in 0u32..58, step in 1u32..30) {
        prop_assert_eq!(calendar::mistake(&format!("*-{month}-{day} {hour:02}:{minute:02}")), None);
        prop_assert_eq!(calendar::mistake(&format!("*-{month}~{day} {hour}:{minute}..59")), None);
        prop_assert_eq!(calendar::mistake(&format!("{hour}:{minute},59:0/{step}")), None);
        for wrong in [format!("*-{}-{day}", month + 12), format!("{}:{minute}", hour + 24)] {
            prop_assert!(calendar::mistake(&wrong).is_some());
        }
    }

    /// Whatever a command holds, its program gets it as it is.
    #[test]
    fn words_of_a_command_are_kept(words in proptest::collection::vec("[ -~é\t]{0,8}", 1..4)) {
        let command: Vec<String> = ["/bin/echo".to_owned()].into_iter().chain(words.clone()).collect();
        let declared = Timer { calendar: Some("daily".into()), command: Some(CommandLine::Words(command)), ..Timer::default() };
        prop_assert_eq!(declared.mistakes(&id()), []);
        let service = declared.service().unwrap();
        let text = unit_file::render(&service.settings);
        let read = unit_file::parse(&text).unwrap();
        let line = &read["Service"].iter().find(|(key, _)| key == "ExecStart").unwrap().1;
        let rest: Vec<String> = words.iter().map(|word| quoted(&word.replace('$', "$$"))).collect();
        prop_assert_eq!(line, &format!("\"/bin/echo\" {}", rest.join(" ")));
    }
}
