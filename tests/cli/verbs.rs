//! Every verb on sites that are right.

use std::process::Command;

use serde_json::Value;

use crate::requirements::given;
use crate::{Place, Ran, example, provision};

fn json(ran: &Ran) -> Value {
    serde_json::from_str(&ran.out).unwrap_or_else(|error| panic!("{error}: {}", ran.seen()))
}

#[test]
fn the_quickstart_as_a_newcomer_sees_it() {
    let place = Place::with(&example("quickstart/site.ncl"));
    insta::assert_snapshot!("quickstart_validate", place.run("validate --simulate site.ncl").seen());
    insta::assert_snapshot!("quickstart_plan", place.run("plan --simulate site.ncl").seen());
    insta::assert_snapshot!("quickstart_apply", place.run("apply --simulate site.ncl --jobs 1").seen());
    insta::assert_snapshot!("quickstart_graph", place.run("graph --simulate site.ncl").seen());
}

#[test]
fn graphs_for_other_programs() {
    let site = "{ resources = { directory.\"/srv/a\" = {}, file.\"/srv/a/b\".notifies = [\"service:cron\"], \
                package.cron = {}, service.cron = {} } }";
    let place = Place::with(site);
    insta::assert_snapshot!("graph_dot", place.run("graph --simulate --as dot site.ncl").seen());
    insta::assert_snapshot!("graph_mermaid", place.run("graph --simulate --as mermaid site.ncl").seen());
    let graph = json(&place.run("graph --simulate --format json site.ncl"));
    assert_eq!(graph["schema"], "provision/graph/1");
    assert_eq!(graph["resources"].as_array().unwrap().len(), 5);
}

#[test]
fn a_plan_is_the_same_every_time_and_has_a_schema() {
    let place = Place::with(&example("web-server/site.ncl"));
    let first = place.run("plan --simulate --format json site.ncl");
    assert_eq!(first.out, place.run("plan --simulate --format json site.ncl").out);
    let plan = json(&first);
    assert_eq!(plan["schema"], "provision/plan/1");
    assert_eq!(plan["steps"][0]["id"], "package_manager:apt");
    assert_eq!(json(&place.run("validate --simulate --format json site.ncl"))["valid"], true);
}

#[test]
fn applying_is_a_stream_of_events_that_ends_with_a_report() {
    let place = Place::with(&example("quickstart/site.ncl"));
    let ran = place.run("apply --simulate --format json site.ncl");
    let events: Vec<Value> = ran.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(events[0]["event"], "run_started");
    let report = events.last().unwrap();
    assert_eq!((&report["event"], &report["success"]), (&Value::from("report"), &Value::from(true)));
}

#[test]
fn a_detailed_exit_code_tells_changes_apart() {
    let place = Place::with("{ resources.file.\"/etc/motd\".content = \"x\" }").file("none.ncl", "{ resources = {} }");
    assert_eq!(place.run("plan --simulate --detailed-exitcode site.ncl").code, 2);
    assert_eq!(place.run("plan --simulate site.ncl").code, 0);
    assert_eq!(place.run("apply --simulate --detailed-exitcode site.ncl").code, 2);
    assert_eq!(place.run("plan --simulate --detailed-exitcode none.ncl").code, 0);
}

#[test]
fn sites_merge_and_come_from_standard_input() {
    let place = Place::with("{ resources.file.\"/etc/a\".mode | default = \"0600\" }")
        .file("more.ncl", "{ resources.file.\"/etc/a\".mode = \"0640\" }");
    let merged = place.run("plan --simulate site.ncl more.ncl");
    assert!(merged.out.contains("mode: 0640"), "{}", merged.seen());
    let piped =
        place.run_with("plan --simulate -", &[], "{ resources.file.\"/etc/b\".content = import \"c.txt\" as 'Text }");
    assert_eq!(piped.code, 3, "{}", piped.seen());
    let piped = place.run_with("plan --simulate -", &[], "{ resources.file.\"/etc/b\" = {} }");
    assert!(piped.out.contains("file:/etc/b  <stdin>:1"), "{}", piped.seen());
}

#[test]
fn priorities_are_those_of_nickel() {
    let role = "{ resources.file.\"/etc/a\".mode | default = \"0600\" }";
    let place = Place::with(role)
        .file("plain.ncl", "{ resources.file.\"/etc/a\".mode = \"0640\" }")
        .file("forced.ncl", "{ resources.file.\"/etc/a\".mode | force = \"0660\" }")
        .file("other.ncl", "{ resources.file.\"/etc/a\".mode = \"0641\" }");
    assert!(place.run("plan --simulate site.ncl plain.ncl forced.ncl").out.contains("mode: 0660"));
    insta::assert_snapshot!("conflict", place.run("validate --simulate plain.ncl other.ncl").seen());
}

#[test]
fn a_field_can_be_set_and_data_imported() {
    let place = Place::with("let d = import \"d.json\" in { resources.file.\"/etc/a\".content = d.text }")
        .file("d.json", "{\"text\": \"from json\\n\"}")
        .file("toml.ncl", "{ resources.file.\"/etc/a\".content = (import \"d.toml\").text }")
        .file("d.toml", "text = \"from toml\\n\"\n")
        .file("yaml.ncl", "{ resources.file.\"/etc/a\".content = (import \"d.yaml\").text }")
        .file("d.yaml", "text: |\n  from yaml\n");
    assert!(place.run("plan --simulate site.ncl").out.contains("+from json"));
    assert!(place.run("plan --simulate toml.ncl").out.contains("+from toml"));
    assert!(place.run("plan --simulate yaml.ncl").out.contains("+from yaml"));
    let set = place.run("plan --simulate site.ncl --set resources.file.\"/etc/a\".mode=0600");
    assert!(set.out.contains("mode: 0600"), "{}", set.seen());
}

#[test]
fn only_chooses() {
    let place = Place::with(&example("web-server/site.ncl"));
    let ran = place.run("plan --simulate --only file:/etc/nginx/conf.d/site.conf site.ncl");
    assert!(ran.out.contains("conf.d/site.conf") && !ran.out.contains("service:nginx"), "{}", ran.seen());
    insta::assert_snapshot!("only_nothing", place.run("plan --simulate --only wbe site.ncl").seen());
}

#[test]
fn a_new_site_applies() {
    let place = Place::new();
    insta::assert_snapshot!("init", place.run("init new").seen());
    assert!(std::fs::read_to_string(place.path("new/site.ncl")).unwrap().contains(r#"name = "new","#));
    assert_eq!(place.run("validate --simulate new/site.ncl").code, 0);
    assert_eq!(place.run("apply --simulate new/site.ncl").code, 0);
    let again = place.run("init new");
    assert!(again.out.contains("kept    new/site.ncl"), "{}", again.seen());
}

#[test]
fn what_the_types_offer() {
    let place = Place::new();
    insta::assert_snapshot!("schema_symlink", place.run("schema symlink").seen());
    let schema = json(&place.run("schema --as json-schema file"));
    assert!(schema["file"]["properties"]["content"].is_object());
    assert!(place.run("schema --as nickel").out.contains("Site"));
    insta::assert_snapshot!("schema_unknown", place.run("schema flie").seen());
}

#[test]
fn facts_and_completions() {
    let place = Place::new();
    insta::assert_snapshot!("facts", place.run("facts --simulate").seen());
    assert_eq!(json(&place.run("facts --simulate --format json"))["os"]["codename"], "bookworm");
    assert!(place.run("completions bash").out.contains("_provision"));
}

#[test]
fn colours_only_where_they_are_wanted() {
    let place = Place::with("{ resources.file.\"/etc/motd\".content = \"x\" }");
    assert!(!place.run("plan --simulate site.ncl").out.contains('\u{1b}'));
    assert!(place.run("plan --simulate --color always site.ncl").out.contains('\u{1b}'));
    let never = place.run_with("plan --simulate --color never site.ncl", &[("CLICOLOR_FORCE", "1")], "");
    assert!(!never.out.contains('\u{1b}'));
}

const VERBS: [&str; 19] = [
    "validate",
    "plan",
    "apply",
    "test",
    "rollback",
    "history",
    "show",
    "secret",
    "secret keygen",
    "secret encrypt",
    "secret decrypt",
    "secret edit",
    "secret rekey",
    "graph",
    "schema",
    "facts",
    "record host",
    "init",
    "completions",
];

/// Seven options of others had filled the help of verbs for which they mean nothing.
#[test]
fn the_help_of_every_verb_is_about_that_verb_and_ends_with_an_example() {
    let place = Place::new();
    let mut all = String::new();
    for verb in VERBS {
        let short = place.run(&format!("{verb} -h"));
        all += &format!("$ provision {verb} -h\n{}\n", short.out);
        let long = place.run(&format!("{verb} --help"));
        assert_eq!((short.code, long.code), (0, 0));
        let last = long.out.trim_end().lines().last().unwrap_or_default().to_owned();
        assert!(last.contains("provision ") && last.starts_with("  "), "{verb}: {}", long.out);
    }
    insta::assert_snapshot!("help", all);
    assert!(place.run("completions --help").out.lines().count() < 15);
    // Where such an option means something it is still known, before the verb and after it.
    let place = Place::with("{ resources = {} }");
    assert_eq!(place.run("--simulate validate site.ncl").code, 0);
    assert_eq!(place.run("validate --simulate site.ncl").code, 0);
}

/// The hint of a full disk had said that what was there before is unchanged, of a run that had changed it.
#[test]
fn a_run_whose_output_cannot_be_written_goes_on_and_says_so() {
    let place = given!(crate::root_directory::place("{ resources.file.\"/etc/motd\".content = \"new\\n\" }"));
    let line = "exec \"$0\" apply --root root site.ncl > /dev/full";
    let ran = place.start(Command::new("sh").args(["-c", line]).arg(provision()), "");
    assert_eq!(ran.code, 1, "{}", ran.seen());
    insta::assert_snapshot!("full_output", ran.seen());
    assert_eq!(std::fs::read_to_string(place.path("root/etc/motd")).unwrap(), "new\n");
}

/// The line that moves was asked for something while it made room for another one, and waited for itself.
#[test]
fn a_run_that_tries_again_says_so_and_ends() {
    let place = Place::with(
        r#"{
  test_host.commands."false" = { code = 1, stdout = "", stderr = "" },
  resources.file."/etc/motd" = { content = "hello\n", validate = ["false", "%"], retries = 1, on_failure = 'rollback },
}
"#,
    );
    let mut command = Command::new("timeout");
    command.arg("60").arg(provision()).args(["apply", "--simulate", "site.ncl"]);
    insta::assert_snapshot!(place.start(&mut command, "").seen(), @r"
    exit code 1
    --- stdout
    ! file:/etc/motd  failed once, is tried again in 1 s: write /etc/motd: the new content did not pass its validation, so it was not put in place
    ! file:/etc/motd  site.ncl:3
        write /etc/motd: the new content did not pass its validation, so it was not put in place
        | false %
        | exit code 1
    Undoing what was done, because file:/etc/motd failed:

    Failed: 1 failed (TIME).
    --- stderr
    ");
}
