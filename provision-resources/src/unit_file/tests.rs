use super::*;
use proptest::prelude::*;
use serde_json::json;

fn sections(json: serde_json::Value) -> Sections {
    serde_json::from_value(json).unwrap()
}

fn said(kind: &str, json: serde_json::Value, is_drop_in: bool) -> String {
    let read = assignments(&sections(json));
    mistakes(kind, &read, is_drop_in).iter().map(|mistake| mistake.2.clone()).collect::<Vec<_>>().join("; ")
}

fn of_service(settings: serde_json::Value) -> String {
    said("service", json!({ "Service": settings }), true)
}

/// As `config_parse()` and `parse_line()` of systemd's shared/conf-parser.c read it.
#[test]
fn what_systemd_reads_is_read() {
    let one = |text: &str| parse(text).map(|read| read.get("A").cloned().unwrap_or_default());
    let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    for (text, value) in [
        ("[A]\nk=v\n", "v"),
        ("[A]\n  k =\t v \t", "v"),
        ("\n; c\n#k=w\n [A] \nk=v\n  # c\n", "v"),
        ("[A]\nk=a\\\nb\n", "a b"),
        ("[A]\nk=a \\\n# c\n  b\n", "a    b"),
        ("[A]\nk=a\\\\\n", "a\\\\"),
        ("[A]\nk=a\\", "a"),
        ("[A]\nk=a # b\n", "a # b"),
        ("[A]\nk=a=b\n", "a=b"),
        ("[A]\nk=\n", ""),
        ("[A]\nk\\\n=v\n", "v"),
    ] {
        assert_eq!(one(text), Some(vec![pair("k", value)]), "{text:?}");
    }
    assert_eq!(one("[A]\nk=1\n[B]\nx=1\n[A]\nk=2\n"), Some(vec![pair("k", "1"), pair("k", "2")]));
    for text in ["", "k=v\n", "[A\nk=v\n", "[A]\nk\n", "[A]\nk=v\r\n", "\u{feff}[A]\nk=v\n", "[A] # c\nk=v\n"] {
        assert_eq!(parse(text), None, "{text:?}");
    }
    assert_eq!(parse("[B]\nx=1\n[A]\nk=1\n"), parse("[A]\nk=1\n[B]\nx=1\n[C]\n"));
    assert_ne!(parse("[A]\nk=1\nl=1\n"), parse("[A]\nl=1\nk=1\n"), "the order within a section may count");
}

#[test]
fn units_have_names() {
    for name in
        ["app.service", "app@.socket", "getty@tty1.service", "srv-data.mount", "-.slice", "a.b.timer", "a\\x2db.path"]
    {
        assert!(parts_of(name).is_some(), "{name}");
    }
    for name in [
        "app",
        "app.conf",
        ".service",
        "@a.service",
        "a b.service",
        "a/b.service",
        "ä.service",
        &("a".repeat(250) + ".service"),
    ] {
        assert_eq!(parts_of(name), None, "{name}");
    }
}

/// Each of these systemd 252 ignores with a line in the log alone, tried with systemd-analyze(1).
#[test]
fn a_setting_that_systemd_would_ignore_is_a_mistake() {
    for settings in [
        json!({ "restart": "always" }),
        json!({ "OnCalendar": "daily" }),
        json!({ "Environment": "A=b c" }),
        json!({ "Environment": "A-B=c" }),
        json!({ "Environment": "\"A=b" }),
        json!({ "ExecStartPre": "bin/app" }),
        json!({ "ExecStartPre": "-" }),
        json!({ "ExecStartPre": "/usr/bin/" }),
        json!({ "ExecStartPre": "/bin/echo 'a" }),
        json!({ "ExecStartPre": "/bin/date +%F" }),
        json!({ "Slice": "%Q" }),
        json!({ "Slice": "a\nNice=5" }),
        json!({ "Slice": "a\\" }),
        json!({ "Slice": " a" }),
        json!({ "X-A b": "a" }),
        json!({ "X-A": "a\nb" }),
    ] {
        assert_ne!(of_service(settings.clone()), "", "{settings}");
    }
    for settings in [
        json!({ "Environment": ["\"A=b c\" D='e'", "A=", null, "%i=a"], "CPUQuota": "20%", "X-App": "%Q \\\\" }),
        json!({ "ExecStartPre": [null, "-app a", "+/usr/bin/app \"a b\" 50%", "!!%h/bin/app %%F", "@/bin/a b"] }),
        json!({ "ExecSearchPath": "/opt:/bin", "ExecPaths": "-/opt", "LimitNOFILE": 5, "RemainAfterExit": true }),
    ] {
        assert_eq!(of_service(settings.clone()), "", "{settings}");
    }
    for (kind, read) in [
        ("timer", json!({ "Service": { "Nice": 5 } })),
        ("service", json!({ "X a": {}, "Install": {} })),
        ("target", json!({ "": { "A": "b" } })),
        ("service", json!({ "Unit": { "After": null } })),
    ] {
        assert_ne!(said(kind, read.clone(), true), "", "{read}");
    }
    insta::assert_snapshot!(said("timer", json!({ "Timer": { "OnCalender": "daily" }, "Service": {} }), false), @"systemd ignores a section [Service] in a timer; systemd knows no setting OnCalender= in [Timer], and ignores it");
}

#[test]
fn a_service_has_one_command() {
    for (command, is_drop_in) in [
        (json!("/bin/a"), true),
        (json!(null), true),
        (json!(["/bin/a", null]), true),
        (json!([null, "/bin/a", "/bin/b"]), true),
        (json!(["/bin/a", "/bin/b"]), false),
    ] {
        let of = |settings| said("service", json!({ "Service": settings }), is_drop_in);
        assert_ne!(of(json!({ "ExecStart": command })), "", "{command}");
        let is_emptied = command.is_null() || command[1].is_null() && command.is_array();
        assert_eq!(of(json!({ "ExecStart": command, "Type": "oneshot" })).is_empty(), !is_emptied, "{command}");
    }
    assert_eq!(said("service", json!({ "Service": { "ExecStart": [null, "/bin/a"] } }), true), "");
    assert_eq!(said("service", json!({ "Service": { "ExecStart": "/bin/a" } }), false), "");
}

#[test]
fn a_unit_without_what_its_kind_needs_is_a_mistake() {
    for (kind, read) in [
        ("service", json!({ "Service": { "Type": "oneshot" } })),
        ("timer", json!({ "Timer": { "OnCalendar": null } })),
        ("socket", json!({ "Unit": { "Description": "a" } })),
        ("mount", json!({ "Mount": { "Where": "/srv" } })),
    ] {
        assert_ne!(said(kind, read.clone(), false), "", "{read}");
        assert_eq!(said(kind, read, true), "", "a drop-in adds to a unit");
    }
    assert_eq!(said("socket", json!({ "Socket": { "ListenFIFO": "/run/a" } }), false), "");
    assert_eq!(said("target", json!({ "Unit": { "Description": "a" } }), false), "");
}

#[test]
fn the_settings_of_processes_are_those_of_all_kinds_that_run_some() {
    for section in ["Service", "Socket", "Mount", "Swap"] {
        assert_eq!(is_newer(section, "User"), Some(false), "{section}");
        assert_eq!(is_newer(section, "MemoryMax"), Some(false), "{section}");
    }
    assert_eq!((is_newer("Slice", "MemoryMax"), is_newer("Slice", "User")), (Some(false), None));
    assert_eq!((is_newer("Service", "RestartMode"), is_newer("Install", "UpheldBy")), (Some(true), Some(true)));
    assert_eq!((is_newer("Timer", "Persistent"), is_newer("Unit", "Persistent")), (Some(false), None));
}

proptest! {
    /// Whatever is declared and valid, systemd reads as it was declared.
    #[test]
    fn what_is_written_is_read(values in proptest::collection::vec("[ -~]{0,12}", 1..4), text in "[ -~é]{0,12}") {
        let values: Vec<Value> = values.into_iter().map(Value::Text).collect();
        let service = [("Slice".to_owned(), Setting::Several(values)), ("X-Text".to_owned(), text.as_str().into())];
        let sections = Sections::from([("Service".to_owned(), service.into())]);
        let read = assignments(&sections);
        prop_assume!(mistakes("service", &read, true).is_empty());
        prop_assert_eq!(parse(&render(&sections)), Some(read));
    }

    #[test]
    fn no_text_makes_it_panic(text in "\\PC{0,60}", value in "[\\[\\]=#\\\\\n a%\"';]{0,30}") {
        let read = [Some(Assignments::from([("Service".into(), vec![("Environment".into(), value.clone()), ("ExecStop".into(), value.clone())])])), parse(&text), parse(&value)];
        for read in read.into_iter().flatten() {
            let _ = (mistakes("service", &read, true), accounts(&read));
        }
    }

    /// A comment and an empty line change nothing, wherever they stand.
    #[test]
    fn comments_mean_nothing(lines in proptest::collection::vec("[a-c]=[a-c\\\\ ]{0,3}", 0..5), place in 0usize..6) {
        let text = format!("[A]\n{}\n", lines.join("\n"));
        let mut with: Vec<&str> = text.lines().collect();
        with.insert(place.min(with.len()), " # c=d\\");
        prop_assert_eq!(parse(&(with.join("\n") + "\n")), parse(&text));
    }
}
