use super::*;
use crate::testing::{converge, in_words, mistakes};
use provision_core::host::HostViewExt;
use provision_core::resource::Target;
use provision_core::sim::SimHost;

const FILE: &str = "/etc/systemd/system/app.service";

fn unit(attributes: Value) -> Unit {
    serde_json::from_value(attributes).unwrap()
}

fn app() -> Unit {
    unit(json!({ "settings": {
        "Unit": { "Description": "The app", "After": ["a.mount", "b.mount"] },
        "Service": { "ExecStart": "/usr/bin/sleep 1d", "Environment": "\"A=b c\"", "Restart": "on-failure" },
        "Install": { "WantedBy": "multi-user.target" },
    } }))
}

#[test]
fn a_unit_is_its_sections() {
    let host = SimHost::debian(13);
    converge(&host, "app.service", app()).unwrap();
    insta::assert_snapshot!(host.read_text(FILE).unwrap().unwrap(), @r#"
    # Managed by provision: unit:app.service
    [Unit]
    After=a.mount
    After=b.mount
    Description=The app

    [Service]
    Environment="A=b c"
    ExecStart=/usr/bin/sleep 1d
    Restart=on-failure

    [Install]
    WantedBy=multi-user.target
    "#);
}

#[test]
fn a_text_is_written_as_it_is_and_compared_as_systemd_reads_it() {
    let text = "# Mine.\n[Service]\nExecStart=/usr/bin/sleep 1d\n";
    let host = SimHost::debian(13);
    converge(&host, "app.service", Unit::default().content(text)).unwrap();
    assert_eq!(host.read_text(FILE).unwrap().as_deref(), Some(text));
    let settings = || unit(json!({ "settings": { "Service": { "ExecStart": "/usr/bin/sleep 1d" } } }));
    assert!(converge(&host, "app.service", settings()).unwrap().is_empty(), "the same in other words");
}

#[test]
fn the_unit_of_a_package_is_not_hidden_unawares() {
    let hiding = |hides: bool| Unit { overrides: hides, ..app() };
    let host = || SimHost::debian(13).with_package("cron");
    let error = converge(&host(), "cron.service", hiding(false)).unwrap_err();
    assert_eq!(error.message(), "it would hide /usr/lib/systemd/system/cron.service");
    assert!(converge(&host(), "cron.service", hiding(true)).is_ok());
    // Nothing of it is decided about by an instance of a template, or where it goes.
    assert!(converge(&host(), "getty@tty7.service", hiding(false)).is_ok());
    assert!(converge(&host(), "cron.service", Unit { ensure: Ensure::Absent, ..Unit::default() }).is_ok());
    let alias = || SimHost::debian(13).with_link(FILE, "/usr/lib/systemd/system/cron.service");
    let error = converge(&alias(), "app.service", hiding(false)).unwrap_err();
    assert_eq!(error.message(), "app.service is another name of cron.service");
    assert!(
        converge(&SimHost::debian(13).with_link(FILE, "/dev/null"), "app.service", app()).is_ok(),
        "a mask is replaced"
    );
}

#[test]
fn a_unit_that_goes_is_stopped_and_disabled() {
    let host = SimHost::debian(13)
        .with_file(FILE, app().text(&ResourceId::new("unit", "app.service")).unwrap().reveal().unwrap())
        .with_link("/etc/systemd/system/multi-user.target.wants/app.service", FILE)
        .with_started_unit("app.service");
    let effects = converge(&host, "app.service", Unit { ensure: Ensure::Absent, ..Unit::default() }).unwrap();
    assert_eq!(
        in_words(&effects),
        [
            "stop app.service",
            "disable app.service",
            "reset-failed app.service",
            "remove /etc/systemd/system/app.service"
        ]
    );
}

#[test]
fn accounts_come_first() {
    let claims = |service: Value| {
        unit(json!({ "settings": { "Service": service } })).also_claims(&ResourceId::new("unit", "app.service"))
    };
    let (user, group) = (Target::User("app".into()), Target::Group("web".into()));
    assert_eq!(claims(json!({ "User": ["x", "app"], "Group": "web" })), [Claim::needs(user), Claim::needs(group)]);
    for service in [json!({ "User": "%i" }), json!({ "User": "1000" }), json!({ "User": "app", "DynamicUser": true })] {
        assert_eq!(claims(service.clone()), [], "{service}");
    }
    let error = converge(
        &SimHost::debian(13),
        "app.service",
        unit(json!({ "content": "[Service]\nUser=ghost\nExecStart=/bin/a\n" })),
    );
    assert_eq!(error.unwrap_err().message(), "there is no user ghost");
}

#[test]
fn what_systemd_would_not_load_is_a_mistake() {
    let said = |name: &str, attributes: Value| mistakes(name, &unit(attributes)).join("; ");
    let target = json!({ "settings": { "Unit": { "Description": "a" } } });
    for name in ["app", "app.conf", "a b.target", "../a.target", "@.target", "a.device", "a.scope", ""] {
        assert_ne!(said(name, target.clone()), "", "{name:?}");
    }
    assert_eq!(said("a@.target", target), "");
    for content in
        ["", "[Service]\nExecStart=/bin/a\nx\n", "ExecStart=/bin/a\n", "[Service]\r\nExecStart=/bin/a\n", "# none\n"]
    {
        assert_ne!(said("app.service", json!({ "content": content })), "", "{content:?}");
    }
    assert_ne!(said("app.service", json!({})), "");
    insta::assert_snapshot!(
        [
            said("app.service", json!({ "settings": { "Service": { "ExecStart": "bin/app", "User": "a\nb" }, "Sevice": {} } })),
            said("app.service", json!({ "content": "[Service]\nExecStart=/bin/a\nRestrat=always\n[Timer]\nOnCalendar=daily\n" })),
            said("app.timer", json!({ "settings": { "Install": {} }, "content": "[Timer]\nUnit=a.service\n" })),
        ].join("\n"),
        @r#"
    settings.Service.ExecStart: "bin/app" is neither an absolute path nor the name of a program, and systemd ignores it; settings.Service.User: a setting is one line, without control characters; settings.Sevice: systemd ignores a section [Sevice] in a service
    content: [Service] Restrat=: systemd knows no setting Restrat= in [Service], and ignores it; content: [Timer]: systemd ignores a section [Timer] in a service
    content: it stands in place of `settings`; content: [Timer]: systemd does not load a timer without On*=
    "#
    );
}

#[test]
fn a_secret_is_kept_from_others_and_not_read() {
    let content = json!({ "content": { "secret_template": "[Service]\nEnvironment=P={{app}}\n" } });
    assert_eq!(mistakes("app.service", &unit(content)), [""; 0]);
}
