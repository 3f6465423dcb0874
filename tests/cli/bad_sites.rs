//! Everything that can be wrong with a site or the arguments: each has a clear error and its exit code.

use crate::{Place, Ran};

fn validate(site: &str) -> Ran {
    Place::with(site).run("validate --simulate site.ncl")
}

fn plan(site: &str) -> Ran {
    Place::with(site).run("plan --simulate site.ncl")
}

macro_rules! refused {
    ($($name:ident: $run:ident, $code:literal, $site:expr;)*) => {
        $(#[test]
        fn $name() {
            let ran = $run($site);
            assert_eq!(ran.code, $code, "{}", ran.seen());
            insta::assert_snapshot!(stringify!($name), ran.seen());
        })*
    };
}

refused! {
    a_syntax_error: validate, 3, "{ resources.file.\"/etc/a\" = { content = \"x\" \n";
    a_wrong_type: validate, 3, "{ resources.file.\"/etc/a\".content = 5 }";
    an_unknown_attribute: validate, 3, "{ resources.file.\"/etc/a\".contnet = \"x\" }";
    an_unknown_type: validate, 3, "{ resources.flie.\"/etc/a\" = {} }";
    a_mode_that_is_a_number: validate, 3, "{ resources.file.\"/etc/a\".mode = 644 }";
    a_relative_path: validate, 3, "{ resources.file.\"etc/a\" = {} }";
    an_unknown_reference: validate, 3, "{ resources = { service.cron.requires = [\"package:corn\"], package.cron = {} } }";
    a_ring: validate, 3, "{ resources.file = { \"/etc/a\".requires = [\"file:/etc/b\"], \"/etc/b\".after = [\"file:/etc/a\"] } }";
    two_owners: validate, 3, "{ resources = { file.\"/etc/a\" = {}, symlink.\"/etc/a\".target = \"b\" } }";
    a_missing_source_file: validate, 3, "{ resources.file.\"/etc/a\".source = \"files/a\" }";
    an_undefined_variable: validate, 3, "{ resources.file.\"/etc/a\".content = greeting }";
    a_fact_without_the_library: validate, 3, "{\n  resources.file.\"/etc/a\".content = facts.hostname,\n}";
    a_site_for_another_version: validate, 3, "{ provision_version = \">= 99\", resources = {} }";
    two_contents: validate, 3, "{ resources.file.\"/etc/a\" = { content = \"x\", json = {} } }";
    a_password_in_clear_text: validate, 3, "{ resources.user = {\n  anna = { password = \"hunter2\", shel = \"/bin/bash\" },\n  ben.passwrd = \"hunter3\",\n  carl.password = 4711,\n} }";
    an_impossible_password: validate, 3, "{ resources.user.anna.password = \"$6$salt$short\" }";
    a_contradiction: validate, 3, "{ resources = {\n  user.foo.groups.adm = true,\n  group.adm.members = [\"bar\"],\n} }";
    a_missing_package: plan, 1, "{ resources.package.gti = {} }";
    a_missing_version: plan, 1, "{ resources.package.git.version = \"99\" }";
    a_missing_owner: plan, 1, "{ resources.file.\"/etc/a\".owner = \"nobdy\" }";
    a_missing_unit: plan, 1, "{ resources.service.nope = {} }";
    a_directory_where_a_file_should_be: plan, 1, "{ resources.file.\"/etc/cron.d\" = {} }";
    a_file_where_a_directory_should_be: plan, 1, "{ resources.directory.\"/etc/motd\" = {} }";
}

#[test]
fn five_mistakes_in_one_run() {
    let ran = validate(
        r#"{
  resources = {
    file."/etc/motd" = { contnet = "hello", mode = 644 },
    flie."/etc/typo" = {},
    service.nginx.requires = ["package:ngnix"],
    package.nginx.ensure = 'presnt,
    user.deploy = { shell = "/bin/a" & "/bin/b" },
  },
}
"#,
    );
    assert_eq!(ran.code, 3);
    for line in ["3:", "4:", "5:", "6:", "7:"] {
        assert!(ran.err.contains(&format!("site.ncl:{line}")), "line {line}: {}", ran.seen());
    }
    insta::assert_snapshot!("five_mistakes", ran.seen());
}

#[test]
fn a_site_that_cannot_be_read() {
    let place = Place::new();
    let ran = place.run("validate --simulate absent.ncl");
    assert_eq!(ran.code, 3);
    insta::assert_snapshot!("absent_site", ran.seen());
}

#[test]
fn arguments_that_make_no_sense() {
    let place = Place::with("{}");
    for arguments in [
        "pln",
        "plan",
        "plan --root / --simulate site.ncl",
        "plan --simulate --set x site.ncl",
        "apply --jobs 0 site.ncl",
    ] {
        let ran = place.run(arguments);
        assert_eq!(ran.code, 64, "{arguments}: {}", ran.seen());
        assert!(ran.out.is_empty());
    }
    assert_eq!(place.run("--help").code, 0);
    assert_eq!(place.run("--version").code, 0);
}

#[test]
fn mistakes_for_programs() {
    let ran = Place::with("{ resources.flie.x = {} }").run("validate --simulate --format json site.ncl");
    let answer: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!((ran.code, &answer["valid"]), (3, &serde_json::Value::Bool(false)));
    assert_eq!(answer["diagnostics"][0]["labels"][0]["span"]["line"], 1);
}
