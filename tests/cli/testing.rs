//! Trying sites on simulated hosts, and recording hosts as fixtures.

use serde_json::Value;

use crate::root_directory::OS_RELEASE;
use crate::{Place, Ran};

const GOOD: &str = r#"let p = import "provision.ncl" in {
  resources = {
    file."/etc/motd".content = "%{std.to_string p.facts.cpus} processors\n",
    user.deploy = {},
  },
  tests = {
    "the greeting counts processors" = {
      facts.cpus = 8,
      expect.files."/etc/motd".text = "8 processors\n",
    },
  },
}
"#;

const BAD: &str = r#"{
  resources.file."/etc/motd".content = "hello\n",
  tests = {
    "it <greets> & more" = {
      host.files."/etc/motd" = "old\n",
      expect.files."/etc/motd".contains = ["goodbye"],
    },
    "it comes with nginx" = {
      host.files."/etc/motd" = "hello\n",
      expect.packages.nginx = true,
    },
    "it is well" = { expect.files."/etc/motd".mode = "0644" },
  },
}
"#;

/// A site that greets, with a test that says this.
fn with_test(says: &str) -> Place {
    Place::with(&format!(
        "{{\n  resources.file.\"/etc/motd\".content = \"hello\\n\",\n  tests.greets = {{ {says} }},\n}}\n"
    ))
}

fn json(ran: &Ran) -> Value {
    serde_json::from_str(&ran.out).unwrap_or_else(|error| panic!("{error}: {}", ran.seen()))
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

/// How long it took differs from run to run.
macro_rules! assert_seen {
    ($name:literal, $ran:expr) => {
        insta::with_settings!({ filters => [(r"\(\d+\.\d s\)", "(TIME)")] }, {
            insta::assert_snapshot!($name, $ran.seen());
        });
    };
}

#[test]
fn a_site_that_is_well() {
    assert_seen!("good_site", Place::with(GOOD).run("test site.ncl --drifted 1"));
}

#[test]
fn all_that_is_not_as_expected_is_told() {
    let says = "expect = { files.\"/etc/motd\" = { mode = \"0600\", contains = [\"x\"], lacks = [\"hello\"] }, \
                packages.nginx = true, units.nginx.active = true }";
    let ran = with_test(says).run("test site.ncl --filter test --release 13");
    assert_eq!(ran.code, 1);
    assert_seen!("all_that_is_not_as_expected", ran);
}

#[test]
fn a_site_whose_tests_fail() {
    let place = Place::with(BAD);
    let ran = place.run("test site.ncl --filter test --release 13");
    assert_eq!(ran.code, 1);
    assert_seen!("bad_site", ran);
    let quiet = place.run("test --quiet site.ncl --filter test --release 13");
    assert!(!quiet.out.contains("ok  ") && quiet.out.contains("FAIL"), "{}", quiet.seen());
}

#[test]
fn checks_are_chosen_by_name_and_release() {
    let place = Place::with(GOOD);
    let chosen = place.run("test site.ncl --filter undone --release 13 --drifted 0");
    assert_seen!("chosen", chosen);
    let newest = json(&place.run("test site.ncl --release 13 --format json"));
    let checks = newest["checks"].as_array().unwrap();
    assert_eq!(checks.len(), 4 * 4 + 1);
    assert!(checks.iter().all(|check| text(&check["name"]).starts_with("Debian 13")), "{newest}");
}

#[test]
fn a_release_that_was_not_recorded_is_refused() {
    assert_seen!("no_release", Place::with(GOOD).run("test site.ncl --release 11"));
}

/// A site whose decisions are here and in a role.
fn branching() -> Place {
    let site = r#"let p = import "provision.ncl" in let greeting = import "roles/greeting.ncl" in
{
  resources.file = greeting { loud = false }
    & (if p.facts.cpus > 64 then { "/etc/large".content = "" } else {}),
  tests."a large host is marked" = {
    facts.cpus = 128,
    expect.files."/etc/large".exists = true,
  },
}
"#;
    let role = r#"fun settings => {
  "/etc/motd".content =
    'Debian
    |> match {
      'Debian if settings.loud => "DEBIAN\n",
      'Debian => "debian\n",
      _ =>
        if settings.loud then
          "?!\n"
        else
          "?\n",
    },
}
"#;
    Place::with(site).file("roles/greeting.ncl", role)
}

#[test]
fn branches_that_no_check_takes_are_shown() {
    assert_seen!("branches", branching().run("test site.ncl --release 13 --filter test"));
}

#[test]
fn a_branch_counts_that_a_check_takes_and_not_one_that_was_only_looked_at() {
    let untaken = |arguments: &str| {
        let document = json(&branching().run(&format!("test site.ncl --release 13 --format json {arguments}")));
        assert_eq!(document["coverage"]["branches"], 7);
        assert_eq!(document["coverage"]["unwatched"], Value::Array(Vec::new()));
        let lines = |branch: &Value| format!("{}:{}", text(&branch["at"]["file"]), branch["at"]["line"]);
        document["coverage"]["untaken"].as_array().unwrap().iter().map(lines).collect::<Vec<_>>()
    };
    let role = [5, 7, 9, 11].map(|line| format!("roles/greeting.ncl:{line}"));
    assert_eq!(untaken("--drifted 0"), role);
    let only_test = untaken("--filter test");
    assert_eq!((&only_test[..4], only_test[4].as_str()), (&role[..], "site.ncl:4"));
}

#[test]
fn programs_read_the_branches_that_no_check_takes() {
    let document = json(&branching().run("test site.ncl --release 13 --drifted 0 --format json"));
    insta::assert_json_snapshot!("branches_json", document["coverage"]["untaken"][0]);
}

#[test]
fn programs_read_what_a_test_came_to() {
    let ran = Place::with(BAD).run("test site.ncl --filter test --release 13 --format json");
    let document = json(&ran);
    assert_eq!((ran.code, text(&document["schema"])), (1, "provision/test/1"));
    assert_eq!((document["passed"].as_u64(), document["failed"].as_u64()), (Some(1), Some(2)));
    assert_eq!(document["coverage"]["resources"], 1);
    assert_eq!(document["coverage"]["untouched"].as_array().map(Vec::len), Some(0));
    let mut fields: Vec<&String> = document["checks"][0].as_object().unwrap().keys().collect();
    fields.sort_unstable();
    assert_eq!(fields, ["at", "details", "failure", "name", "passed", "resource", "says", "seconds"]);
    let checks = document["checks"].as_array().unwrap();
    let failed: Vec<&Value> = checks.iter().filter(|check| check["passed"] == false).collect();
    let nginx = failed.iter().find(|check| text(&check["name"]).ends_with("it comes with nginx")).unwrap();
    assert_eq!(nginx["failure"], "there is no package nginx");
    assert_eq!((&nginx["at"]["file"], &nginx["at"]["line"]), (&Value::from("site.ncl"), &Value::from(10)));
}

/// Each element that begins ends, in order, and no text has a bare `<` or `&`.
fn assert_well_formed(xml: &str) {
    let mut open = Vec::new();
    let mut rest = xml;
    while let Some((before, after)) = rest.split_once('<') {
        let entities = before.split('&').skip(1);
        assert!(entities.into_iter().all(|text| text.find(';').is_some_and(|end| end < 6)), "{before}");
        let (tag, after) = after.split_once('>').unwrap();
        assert!(!tag.contains('<') && tag.matches('"').count() % 2 == 0, "{tag}");
        match tag.strip_prefix('/') {
            Some(name) => assert_eq!(open.pop(), Some(name), "{xml}"),
            None if tag.starts_with('?') || tag.ends_with('/') => {}
            None => open.push(tag.split(' ').next().unwrap()),
        }
        rest = after;
    }
    assert!(open.is_empty() && rest.trim().is_empty(), "{xml}");
}

#[test]
fn continuous_integration_reads_junit() {
    let place = Place::with(BAD);
    let ran = place.run("test site.ncl --release 13 --drifted 0 --junit results.xml");
    assert_eq!(ran.code, 1, "{}", ran.seen());
    let xml = std::fs::read_to_string(place.path("results.xml")).unwrap();
    assert_well_formed(&xml);
    assert!(xml.contains("<testsuites tests=\"11\" failures=\"2\">"), "{xml}");
    assert!(xml.contains("classname=\"Debian 13, tests\" name=\"it &lt;greets&gt; &amp; more\""), "{xml}");
    assert!(xml.contains("<failure message=\"there is no package nginx\">"), "{xml}");
    assert!(xml.contains("classname=\"Debian 13, bare\" name=\"can be undone\""), "{xml}");
}

#[test]
fn what_fails_tells_how() {
    let place = Place::with(GOOD);
    assert_eq!(place.run("test site.ncl --filter undone").code, 0);
    assert_eq!(Place::with("{ resources.file.\"/etc/motd\".contnt = \"x\" }").run("test site.ncl").code, 3);
    assert_eq!(place.run("test none.ncl").code, 3);
    assert_eq!(place.run("test").code, 64);
    assert_eq!(place.run("test site.ncl --jobs 0").code, 64);
    assert_eq!(place.run("test site.ncl --release trixie").code, 64);
    assert_eq!(place.run("test site.ncl --root /").code, 64);
    assert_seen!("simulate", place.run("test --simulate site.ncl"));
}

#[test]
fn an_unknown_expectation_is_refused() {
    let ran = with_test("expect.fils.\"/etc/motd\".text = \"hello\\n\"").run("test site.ncl");
    assert_eq!(ran.code, 3);
    assert_seen!("unknown_expectation", ran);
    let ran = with_test("expect = { plan.\"file:/etc/motd\" = 'chnge }").run("test site.ncl");
    assert_eq!(ran.code, 3);
    assert_seen!("unknown_word", ran);
}

#[test]
fn every_verb_refuses_a_test_with_a_typo() {
    let place = with_test("hst.packages = [\"nginx\"]");
    let ran = place.run("validate --simulate site.ncl");
    assert!(ran.code == 3 && ran.seen().contains("did you mean `host`?"), "{}", ran.seen());
}

#[test]
fn an_unknown_package_is_refused_before_anything_is_tried() {
    let ran = with_test("host.packages = [\"nginks\"]").run("test site.ncl");
    assert_eq!(ran.code, 3);
    assert_seen!("unknown_package", ran);
}

#[test]
fn a_test_of_a_resource_that_is_not_there_fails() {
    let ran = with_test("expect.plan.\"file:/etc/mot\" = 'change").run("test site.ncl --filter test --release 13");
    assert!(
        ran.code == 1 && ran.out.contains("the site has no resource file:/etc/mot; did you mean file:/etc/motd?\n"),
        "{}",
        ran.seen()
    );
}

#[test]
fn a_site_that_was_to_be_refused_and_is_not() {
    let ran = with_test("expect.invalid = \"no\"").run("test site.ncl --filter test --release 13");
    assert_eq!(ran.code, 1);
    assert_seen!("not_refused", ran);
}

#[test]
fn an_undeclared_command_is_an_error() {
    let site = |commands: &str| {
        Place::with(&format!(
            "{{\n  resources.file.\"/etc/motd\" = {{ content = \"hello\\n\", validate = \"grep -q hello %\" }},\n  \
             test_host = {{ {commands} }},\n}}\n"
        ))
    };
    let ran = site("").run("test site.ncl --release 13 --drifted 0 --filter bare:");
    assert_eq!(ran.code, 1);
    let first = ran.out.lines().take(3).collect::<Vec<_>>().join("\n");
    insta::assert_snapshot!("unknown_command", first);
    let ran = site("commands.\"grep -q\" = {}").run("test site.ncl --release 13 --drifted 0 --filter bare:");
    assert_eq!(ran.code, 0, "{}", ran.seen());
}

#[test]
fn a_simulated_host_is_recorded_and_is_a_fixture() {
    let place = with_test("releases = [12], host.fixture = \"web1.host\", expect.changes = [\"file:/etc/motd\"]");
    let recorded = place.run("record host --simulate -o web1.host");
    assert_eq!((recorded.code, recorded.out.as_str()), (0, ""), "{}", recorded.seen());
    assert_eq!(place.run("test site.ncl --filter test").code, 0);
    let shown = json(&place.run("record host --simulate"));
    assert_eq!((text(&shown["format"]), text(&shown["os"]["version"])), ("provision-host/1", "12"));
    let without = json(&place.run("record host --simulate --without /etc"));
    assert!(shown["paths"].get("/etc").is_some() && without["paths"].get("/etc").is_none());
}

#[test]
fn a_root_directory_is_recorded_and_is_a_fixture() {
    let place = with_test(
        "releases = [13], host.fixture = \"small.host\",\n    expect = { plan.\"file:/etc/motd\" = 'in_sync, \
         files.\"/srv/big\".exists = true, packages.nginx = false }",
    )
    .file("root/etc/os-release", "ID=debian\nVERSION_ID=\"13\"\nVERSION_CODENAME=trixie\n")
    .file("root/etc/passwd", "root:x:0:0:root:/root:/bin/bash\n")
    .file("root/etc/group", "root:x:0:\n")
    .file("root/etc/motd", "hello\n")
    .file("root/srv/big", "not recorded\n");
    let recorded = place.run("record host --root root -o small.host");
    assert_eq!(recorded.code, 0, "{}", recorded.seen());
    let record = std::fs::read_to_string(place.path("small.host")).unwrap();
    assert!(record.contains("hello\\n") && !record.contains("not recorded"), "{record}");
    let plan = place.run("test site.ncl --filter test");
    assert_seen!("small_fixture", plan);
}

#[test]
fn a_fixture_of_another_release_is_refused() {
    let place = with_test("host.fixture = \"web1.host\"");
    place.run("record host --simulate -o web1.host");
    let ran = place.run("test site.ncl");
    assert_eq!(ran.code, 3);
    assert_seen!("fixture_of_another_release", ran);
}

/// A site whose hosts all begin with a record, which is changed before.
fn with_fixture_for_all(change: impl Fn(&str) -> String) -> Place {
    let place = Place::with(
        "{\n  resources.file.\"/etc/motd\".content = \"hello\\n\",\n  test_host = {\n    \
        fixture = \"web1.host\",\n  },\n}\n",
    );
    let record = place.run("record host --simulate").out;
    place.file("web1.host", &change(&record))
}

#[test]
fn a_fixture_for_all_tests_of_another_release_is_told_at_its_line_with_what_helps() {
    let place = with_fixture_for_all(str::to_owned);
    assert_seen!("fixture_for_all_of_another_release", place.run("test site.ncl --release 13"));
    assert_eq!(place.run("test site.ncl --release 12 --drifted 0 --filter bare:").code, 0);
}

#[test]
fn a_fixture_without_a_release_is_told_at_its_line_with_what_helps() {
    let place = with_fixture_for_all(|record| record.replacen("\"version\": \"12\"", "\"version\": \"\"", 1));
    assert_seen!("fixture_without_release", place.run("test site.ncl"));
}

/// What is said of a test whose host begins like this.
fn beginning(says: &str) -> String {
    with_test(says).run("test site.ncl --filter test --release 13").seen()
}

#[test]
fn what_is_not_installed_cannot_be_held() {
    assert_seen!("held_unknown", with_test("host.held = [\"nginks\"]").run("test site.ncl"));
    assert_seen!("held_not_installed", with_test("host = { held = [\"curl\"] }").run("test site.ncl"));
    let well = beginning("host = { packages = [\"nginx\"], held = [\"nginx\"] }");
    assert!(well.starts_with("exit code 0"), "{well}");
}

#[test]
fn nothing_can_begin_below_a_file() {
    let below = "host.files = { \"/srv/a\" = \"x\", \"/srv/a/below\" = \"y\" }";
    assert_seen!("file_below_a_file", with_test(below).run("test site.ncl"));
    for (says, wrong) in [
        ("host.directories = [\"/etc/hostname/x\"]", "/etc/hostname is a file, so there can be no /etc/hostname/x"),
        ("host = { links.\"/etc/hostname/l\" = \"/x\" }", "/etc/hostname is a file, so there can be no"),
        ("host.files.\"/etc\" = \"x\"", "/etc is a directory that is not empty, so nothing else can be there"),
    ] {
        let seen = beginning(says);
        assert!(seen.starts_with("exit code 3") && seen.contains(wrong) && seen.contains("--> site.ncl:3:"), "{seen}");
    }
    let behind_a_link = beginning("host.files.\"/var/run/x\" = \"\"");
    assert!(behind_a_link.starts_with("exit code 0"), "{behind_a_link}");
}

#[test]
fn a_name_that_no_account_can_have_is_refused() {
    assert_seen!("bad_user_name", with_test("host.users = [\"web master\"]").run("test site.ncl"));
    let seen = beginning("host.users = { deploy = { shell = \"/bin/sh\" } }");
    assert!(seen.starts_with("exit code 3") && seen.contains("`host.users`: "), "{seen}");
}

#[test]
fn a_host_that_has_converged_may_hold_and_own_what_the_site_brought() {
    let site = |says: &str| {
        Place::with(&format!(
            "{{\n  resources = {{ package.nginx = {{}}, user.deploy = {{}} }},\n  tests.t = {{ converged = true, {says} }},\n}}\n"
        ))
    };
    let well = "host = { held = [\"nginx\"], files.\"/srv/x\" = { text = \"\", owner = \"deploy\" } }";
    let ran = site(well).run("test site.ncl --filter test");
    assert_eq!(ran.code, 0, "{}", ran.seen());
    assert_seen!(
        "converged_without_it",
        site("host = { held = [\"curl\"] }").run("test site.ncl --filter test --release 13")
    );
}

#[test]
fn the_name_of_an_unknown_field_is_marked_and_not_what_it_holds() {
    let marked = |says: &str| {
        let seen = with_test(says).run("test site.ncl").seen();
        let carets = seen.lines().find(|line| line.contains('^')).unwrap_or_default().to_owned();
        let source = seen.lines().find(|line| line.contains("tests.greets")).unwrap_or_default().to_owned();
        let start = carets.find('^').unwrap_or_else(|| panic!("{seen}"));
        source[start..=carets.rfind('^').unwrap()].to_owned()
    };
    assert_eq!(marked("expect.fils.\"/etc/motd\".text = \"hello\""), "fils");
    assert_eq!(marked("expect = { files.\"/etc/motd\" = { txt = \"hello\" } }"), "txt");
    assert_eq!(marked("facts.memory_mb = 512"), "memory_mb");
    assert_eq!(marked("host.files.\"/srv/x\" = { txt = \"\" }"), "txt");
    assert_eq!(marked("hst.packages = [\"nginx\"]"), "hst");
}

#[test]
fn a_file_that_a_host_begins_with_says_which_of_its_fields_is_wrong() {
    let file = |says: &str| beginning(&format!("host.files.\"/srv/x\" = {says}"));
    assert_seen!(
        "file_field",
        with_test("host.files.\"/srv/x\" = { text = \"\", mod = \"0600\" }").run("test site.ncl")
    );
    assert!(file("{ owner = \"root\" }").contains("missing field `text`"), "{}", file("{ owner = \"root\" }"));
    assert!(file("3").contains("expected a text, or a record with a `text`"), "{}", file("3"));
    assert!(file("{ text = \"\", mode = \"0600\" }").starts_with("exit code 0"));
}

#[test]
fn a_fixture_that_is_none_is_refused() {
    let place = with_test("host.fixture = \"web1.host\"");
    assert_seen!("fixture_missing", place.run("test site.ncl"));
    let place = place.file("web1.host", "{ \"format\": \"provision-host/9\" }");
    assert_seen!("fixture_of_another_version", place.run("test site.ncl"));
}

#[test]
fn a_record_that_lies_in_the_root_it_is_of_does_not_hold_itself() {
    let place = Place::new().file("root/etc/os-release", OS_RELEASE).file("root/etc/motd", "hello\n");
    std::os::unix::fs::symlink("etc", place.path("root/link")).unwrap();
    let record = |output: &str| {
        let ran = place.run(&format!("record host --root root -o {output}"));
        assert_eq!(ran.code, 0, "{}", ran.seen());
        std::fs::read_to_string(place.path(output)).unwrap()
    };
    let outside = record("web1.host");
    // The second time the file is there.
    for output in ["root/etc/web1.host", "root/etc/web1.host", "root/link/web1.host"] {
        assert_eq!(record(output), outside, "{output}");
    }
    assert!(place.run("record host --root root").out.contains("/etc/web1.host"));
}

#[test]
fn recording_what_is_not_there_is_an_error() {
    assert_seen!("record_nowhere", Place::new().run("record host --root nowhere"));
    let no_debian = Place::new().file("root/etc/hostname", "x\n");
    assert_seen!("record_no_debian", no_debian.run("record host --root root"));
    assert_seen!("record_without_no_path", no_debian.run("record host --simulate --without etc"));
}

#[test]
fn an_expectation_of_what_is_not_there_is_no_success() {
    for (says, told) in [
        ("expect.units.ngnix = { active = false, restarts = 0 }", "there is no unit ngnix; say `exists = false`"),
        ("expect.files.\"/etc/passwd\".exists = false", "/etc/passwd is no file of a simulated host"),
        ("expect.files.\"/nope\" = { exists = false, mode = \"0644\" }", "nothing else can be expected"),
        ("expect.changes = [\"file:/etc/mtod\"]", "no resource file:/etc/mtod; did you mean file:/etc/motd?"),
        ("expect.plan.\"file:/etc/mtod\" = 'in_sync", "no resource file:/etc/mtod; did you mean file:/etc/motd?"),
    ] {
        let ran = with_test(says).run("test site.ncl --filter greets");
        assert_eq!(ran.code, 1, "{says}: {}", ran.seen());
        assert!(ran.out.contains(told) && ran.out.contains("site.ncl:3"), "{says}: {}", ran.seen());
    }
    let ran = with_test("expect.units.ngnix.exists = false").run("test site.ncl --filter greets");
    assert_eq!(ran.code, 0, "{}", ran.seen());
}

#[test]
fn what_packages_leave_by_themselves_is_no_failure_of_a_site() {
    // One restarts a unit of another, one leaves a directory below /run, one has scripts that go by the order.
    for package in ["cron", "nsd", "mariadb-server", "postfix"] {
        let place = Place::with(&format!("{{ resources.package.{package} = {{}} }}"));
        let ran = place.run("test site.ncl --filter bare");
        assert_eq!(ran.code, 0, "{package}: {}", ran.seen());
    }
}
