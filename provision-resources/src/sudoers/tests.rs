use super::*;
use crate::testing::{converge, mistakes};
use provision_core::sim::SimHost;

fn sudo() -> SimHost {
    SimHost::debian(13).with_package("sudo")
}

fn file_of(rules: Sudoers) -> String {
    rules.text(&ResourceId::new("sudoers", "rules")).unwrap().reveal().unwrap().to_owned()
}

fn rules(users: &[&str], commands: &[&str]) -> Sudoers {
    let owned = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    Sudoers { users: owned(users), commands: owned(commands), ..Sudoers::default() }
}

fn refused(rules: Sudoers) -> Vec<String> {
    mistakes("rules", &rules)
}

#[test]
fn a_rule_is_one_line_in_words_of_sudo() {
    let all = Sudoers {
        groups: vec!["domain users".into()],
        run_as: Some("app:adm".into()),
        password: Some(false),
        tags: vec!["SETENV".into()],
        defaults: [("env_keep".into(), Scalar::Text("A B".into())), ("insults".into(), Scalar::Flag(false))].into(),
        ..rules(
            &["deploy", "BOB", "DOM\\eve", "#1000"],
            &["/bin/echo a:b, c=d #e", "/bin/ls ^-[a-z]{1,3}$", "/bin/id \"\""],
        )
    };
    insta::assert_snapshot!(file_of(all), @r#"
    # Managed by provision: sudoers:rules
    Defaults:deploy, \BOB, \DOM\\eve, #1000, %domain\ users env_keep = "A B"
    Defaults:deploy, \BOB, \DOM\\eve, #1000, %domain\ users !insults
    deploy, \BOB, \DOM\\eve, #1000, %domain\ users ALL = (app:adm) NOPASSWD:SETENV: /bin/echo a\:b\, c\=d \#e, /bin/ls ^-[a-z]{1,3}$, /bin/id ""
    "#);
}

/// `visudo` says that all is well with each of these: it never matches, is an alias, or allows more than was meant.
#[test]
fn what_visudo_takes_without_a_word_and_means_something_else_is_refused() {
    let of_group = |group: &str| Sudoers { groups: vec![group.into()], ..rules(&[], &["/bin/true"]) };
    assert_eq!(refused(of_group("%adm")), ["groups.0: \"%adm\" would have a second `%`"]);
    assert_eq!(refused(rules(&["+net"], &["/bin/true"])), ["users.0: \"+net\" is more than a name"]);
    assert_eq!(refused(rules(&["a"], &["sudoedit"])), ["commands.0: \"sudoedit\" would let every file be edited"]);
    assert_eq!(
        refused(rules(&["a"], &["/bin/svc ^(start|stop x$ y"])),
        ["commands.0: \"/bin/svc ^(start|stop x$ y\" has half a regular expression"]
    );
    let empty = Sudoers { run_as: Some(String::new()), ..rules(&["a"], &["/bin/true"]) };
    assert_eq!(refused(empty), ["run_as: \"\" is none"]);
    for name in ["rules.conf", "rules~", ".rules"] {
        let message = format!(": sudo ignores a file named {name:?}");
        assert_eq!(mistakes(name, &rules(&["a"], &["/bin/true"])), [message]);
    }
    let open = Sudoers { defaults: [("authenticate".into(), Scalar::Flag(false))].into(), ..Sudoers::default() };
    assert_eq!(refused(open), ["defaults.authenticate: every user could become root without a password"]);
}

#[test]
fn what_sudo_would_refuse_is_told_before() {
    assert_eq!(
        refused(rules(&["a"], &["systemctl restart x"])),
        ["commands.0: \"systemctl restart x\" has no absolute path"]
    );
    assert_eq!(
        refused(rules(&["a"], &["/usr/bin/sudoedit /x"])),
        ["commands.0: \"/usr/bin/sudoedit /x\" is no command of sudo"]
    );
    assert_eq!(refused(rules(&[], &["/bin/true"])), ["users: no user may run these commands"]);
    assert_eq!(refused(rules(&["a"], &[])), ["commands: there is no rule"]);
    let tagged = Sudoers { tags: vec!["NOPASSWD".into()], ..rules(&["a"], &["ALL"]) };
    assert!(refused(tagged)[0].starts_with("tags.0: \"NOPASSWD\" is no tag"));
    let both = Sudoers { content: Some("x".into()), ..rules(&["a"], &["ALL"]) };
    assert_eq!(refused(both), ["content: `content` is the whole file"]);
}

#[test]
fn other_blanks_and_comments_are_left_and_escapes_are_compared_as_they_are() {
    let there = |text: &str| {
        sudo().with_file("/etc/sudoers.d/rules", text).with_access("/etc/sudoers.d/rules", "root", "root", 0o440)
    };
    let rule = || rules(&["root"], &["/bin/true"]);
    for same in
        ["root ALL = /bin/true\n", "# mine\nroot\tALL =  /bin/true", "\n#123 is a comment\nroot ALL = /bin/true\n"]
    {
        let same = same.replace("#123", "# 123");
        assert!(converge(&there(&same), "rules", rule()).unwrap().is_empty(), "{same:?}");
    }
    for other in
        ["root ALL=/bin/true\n", "root ALL = /bin/true \\\n , ALL\n", "#1 ALL = /bin/true\nroot ALL = /bin/true\n"]
    {
        assert_eq!(converge(&there(other), "rules", rule()).unwrap().len(), 1, "{other:?}");
    }
}

#[test]
fn a_file_that_nothing_includes_is_refused() {
    let host = sudo().with_file("/etc/sudoers", "root ALL=(ALL:ALL) ALL\n# @includedir /etc/sudoers.d\n");
    let error = converge(&host, "rules", rules(&["root"], &["/bin/true"])).unwrap_err();
    assert_eq!(error.message(), "/etc/sudoers does not read the files of /etc/sudoers.d");
}

/// After `list`, or before `""`, a line break had brought a line of its own into the file.
#[test]
fn no_command_brings_a_line_of_its_own() {
    for command in ["list \nDefaults !authenticate", "/bin/true\n@include\t/etc/x \"\"", "ALL\r"] {
        assert_eq!(refused(rules(&["root"], &[command])), [format!("commands.0: {command:?} has several lines")]);
    }
}

/// `visudo` had refused them, or sudo had read two backslashes.
#[test]
fn what_only_visudo_would_refuse_is_refused_at_its_attribute() {
    let with = |change: fn(&mut Sudoers)| {
        let mut declared = rules(&["a"], &["ALL"]);
        change(&mut declared);
        refused(declared)
    };
    assert_eq!(with(|rules| rules.host = Some("web 1".into())), ["host: \"web 1\" is none"]);
    assert_eq!(with(|rules| rules.run_as = Some("a b\t:#x".into())), ["run_as: \"a b\\t:#x\" is none"]);
    let prompt = |rules: &mut Sudoers| drop(rules.defaults.insert("passprompt".into(), "x\\".into()));
    assert_eq!(with(prompt), ["defaults.passprompt: a value is one line without a backslash"]);
}

/// A number below zero is a user to sudo, and a no-break space a part of an argument.
#[test]
fn only_comments_and_blanks_are_passed_over() {
    let there = |text: &str| {
        sudo().with_file("/etc/sudoers.d/rules", text).with_access("/etc/sudoers.d/rules", "root", "root", 0o440)
    };
    for other in ["#-1 ALL = (ALL) NOPASSWD: ALL\nroot ALL = /bin/true a\n", "root ALL = /bin/true a\u{a0}\n"] {
        assert_eq!(converge(&there(other), "rules", rules(&["root"], &["/bin/true a"])).unwrap().len(), 1, "{other:?}");
    }
}
