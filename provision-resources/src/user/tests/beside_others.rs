//! Users beside groups, homes and services that the site declares as well.

use super::*;

#[test]
fn groups_come_first() {
    let id = ResourceId::new("user", "deploy");
    let group = |name: &str| Claim::needs(Target::Group(name.into()));
    let user = Target::User("deploy".into());
    let attributes = json!({ "uid": 1500, "groups": { "sudo": true, "games": false }, "authorized_keys": {} });
    assert_eq!(
        declare::<User>(attributes).claims(&id),
        [
            Claim::owns(user.clone()),
            group("deploy"),
            group("sudo"),
            Claim::owns(Target::Uid(1500)),
            Claim::owns(Target::Path(HostPath::new("/home/deploy/.ssh/authorized_keys").unwrap())),
        ]
    );
    let claims = declare::<User>(json!({ "home": "/srv/www/deploy", "primary_group": "users" })).claims(&id);
    let above = Claim::needs(Target::Path(HostPath::new("/srv/www").unwrap()));
    assert_eq!(claims, [Claim::owns(user.clone()), group("users"), above]);
    let claims = declare::<User>(json!({ "ensure": "absent" })).claims(&id);
    assert_eq!(claims, [Claim::removes(user), group("deploy")]);
}

#[test]
fn a_declared_home_directory_comes_after_its_user() {
    let mut site = Site::new();
    let home = json!({ "owner": "deploy", "group": "deploy", "mode": "0750" });
    site.declare::<Directory>("/home/deploy", declare(home));
    site.declare::<User>("deploy", declare(json!({ "authorized_keys": { "anna": key(1) } })));
    site.declare::<Group>("deploy", declare(json!({ "gid": 4000 })));
    site.declare::<Group>("media", declare(json!({ "members": ["deploy"] })));
    let graph = site.into_graph().unwrap();
    assert!(graph.warnings().is_empty(), "{:?}", graph.warnings());
    let planned = graph.plan(&SimHost::debian(12), &PlanOptions::default()).unwrap();
    let order: Vec<String> = planned.plan().steps.iter().map(|step| step.id.to_string()).collect();
    assert_eq!(order, ["group:deploy", "user:deploy", "group:media", "directory:/home/deploy"]);
    assert_eq!(planned.plan().counts().change, 4, "{:?}", planned.plan());
}

#[test]
fn a_former_primary_group_is_joined_in_one_run() {
    let host = SimHost::debian(12);
    for (name, gid) in [("g1", 3001), ("g2", 3002)] {
        perform(
            &host,
            Effect::Platform(PlatformEffect::CreateGroup { name: name.into(), gid: Some(gid), system: false }),
        );
    }
    let attributes = UserChanges { primary_group: Some("g1".into()), ..UserChanges::default() };
    let user = CreateUser { name: "deploy".into(), system: false, create_home: true, attributes };
    perform(&host, Effect::Platform(PlatformEffect::CreateUser(user)));
    let swap = |from: &str, to: &str| {
        let done = converge::<User>(&host, "deploy", json!({ "primary_group": to, "groups": { from: true } }));
        let [Effect::Platform(PlatformEffect::ChangeUser { changes, .. })] = &done.effects[..] else {
            panic!("{:?}", done.effects)
        };
        assert_eq!((changes.primary_group.as_deref(), changes.groups.as_deref()), (Some(to), Some(&[from.into()][..])));
        assert_eq!(host.accounts().unwrap().groups_of("deploy"), [from]);
    };
    swap("g1", "g2");
    // Back again: it leaves the list of what becomes its primary group.
    swap("g2", "g1");
    let exactly = |primary: &str, other: &str| json!({ "primary_group": primary, "groups": { other: true, primary: true }, "membership": "exactly" });
    assert_eq!(words(&host, exactly("g2", "g1")), ["change user deploy"]);
    assert_eq!(host.accounts().unwrap().groups_of("deploy"), ["g1"]);
    assert_eq!(words(&host, json!({ "primary_group": "g1", "membership": "exactly" })), ["change user deploy"]);
    assert_eq!(words(&host, json!({ "primary_group": "g1", "membership": "exactly" })), [""; 0]);
}

#[test]
fn members_of_the_primary_group_are_left_to_the_group() {
    // A group may list users whose primary group it is; that makes no difference to them.
    let host = SimHost::debian(12).with_user("deploy");
    join(&host, "deploy", &["deploy", "adm"]);
    assert_eq!(words(&host, json!({ "groups": { "adm": true }, "membership": "exactly" })), [""; 0]);
    let error = fails::<User>(&host, "deploy", json!({ "groups": { "deploy": false } }));
    assert!(error.message().contains("cannot leave group deploy"), "{error}");
    assert_eq!(
        fails::<User>(&SimHost::debian(12), "deploy", json!({ "groups": { "deploy": false } })).kind(),
        ErrorKind::Conflict
    );
}

#[test]
fn a_group_with_the_number_of_another_can_be_the_primary_one() {
    let host = SimHost::debian(12).with_user("deploy");
    let line = |name: &str, line: &str| provision_core::host::AccountLine {
        database: provision_core::host::AccountDatabase::Group,
        name: name.into(),
        line: Some(Sensitive::new(line)),
        position: 0,
    };
    let gid = host.user("deploy").unwrap().unwrap().gid;
    perform(
        &host,
        Effect::Platform(PlatformEffect::RestoreAccounts { lines: vec![line("alias", &format!("alias:x:{gid}:"))] }),
    );
    assert_eq!(words(&host, json!({ "primary_group": "alias" })), [""; 0]);
    assert_eq!(words(&host, json!({ "primary_group": "deploy" })), [""; 0]);
}

/// What is wrong with a site of groups and users, in short.
fn contradictions(groups: Value, users: Value) -> Vec<String> {
    let mut site = Site::new();
    for (name, group) in groups.as_object().unwrap() {
        site.declare::<Group>(name, declare(group.clone()));
    }
    for (name, user) in users.as_object().unwrap() {
        site.declare::<User>(name, declare(user.clone()));
    }
    let found = site.into_graph().err().map(|diagnostics| diagnostics.list).unwrap_or_default();
    assert!(found.iter().all(|mistake| mistake.labels.len() == 2 && mistake.help.is_some()), "{found:?}");
    found.into_iter().map(|mistake| mistake.message).collect()
}

#[test]
fn groups_and_users_that_contradict_one_another_are_refused() {
    let one = |groups: Value, users: Value| {
        let found = contradictions(groups, users);
        assert_eq!(found.len(), 1, "{found:?}");
        found[0].clone()
    };
    let others = one(json!({ "adm": { "members": ["bar"] } }), json!({ "foo": { "groups": { "adm": true } } }));
    assert_eq!(others, "user foo is to be in group adm, whose members are others");
    let not = one(json!({ "g": { "members": ["u"] } }), json!({ "u": { "groups": { "g": false } } }));
    assert_eq!(not, "user u is not to be in group g, which has it as a member");
    let exact = one(json!({ "g": { "members": ["u"] } }), json!({ "u": { "membership": "exactly" } }));
    assert!(exact.contains("in no groups but those named"), "{exact}");
    let gone = json!({ "g": { "ensure": "absent" } });
    let removed = one(gone.clone(), json!({ "u": { "groups": { "g": true } } }));
    assert!(removed.contains("which is removed"), "{removed}");
    let primary = one(gone, json!({ "u": { "primary_group": "g" } }));
    assert!(primary.contains("primary group"), "{primary}");
    let member = one(json!({ "g": { "members": ["u"] } }), json!({ "u": { "ensure": "absent" } }));
    assert_eq!(member, "user u is removed, and is to be a member of group g");
    // Neither of the two can be the first one.
    let lists = || json!({ "g": { "members": ["u"] } });
    for user in [json!({ "primary_group": "g" }), json!({ "groups": { "g": true } })] {
        let ring = one(lists(), json!({ "u": user }));
        assert_eq!(ring, "user u comes after group g, which lists it as a member and so comes after it");
    }
    let own = one(json!({ "u": { "members": ["u"] } }), json!({ "u": {} }));
    assert!(own.contains("comes after group u"), "{own}");
}

#[test]
fn groups_and_users_that_agree_are_no_contradiction() {
    for (groups, users) in [
        (json!({ "g": { "members": ["u"] } }), json!({ "u": { "groups": { "adm": true } } })),
        (json!({ "g": { "members": [] } }), json!({ "u": { "groups": { "g": false } } })),
        (json!({ "g": { "members": [] } }), json!({ "u": { "primary_group": "g", "groups": { "g": true } } })),
        (json!({ "u": { "members": [] } }), json!({ "u": { "groups": { "u": true } } })),
        (json!({ "g": {} }), json!({ "u": { "groups": { "g": true } } })),
        (json!({ "g": { "ensure": "absent" } }), json!({ "u": { "groups": { "g": false } } })),
    ] {
        assert_eq!(contradictions(groups.clone(), users.clone()), [""; 0], "{groups} {users}");
    }
    // What takes no part contradicts nothing.
    let mut site = Site::new();
    site.declare::<Group>("g", declare(json!({ "members": [] }))).when(false);
    site.declare::<User>("u", declare(json!({ "groups": { "g": true } })));
    assert!(site.into_graph().is_ok());
}

fn order_of(site: Site, host: &SimHost) -> Vec<String> {
    let graph = site.into_graph().unwrap();
    let planned = graph.plan(host, &PlanOptions::default()).unwrap();
    assert!(planned.plan().is_feasible(), "{:?}", planned.plan());
    let report = planned.apply(host, &provision_core::apply::ApplyOptions::default(), &());
    assert!(report.is_success(), "{report:?}");
    drop(planned);
    let again = graph.plan(host, &PlanOptions::default()).unwrap();
    assert_eq!(again.plan().counts().change, 0, "{:?}", again.plan());
    again.plan().steps.iter().map(|step| step.id.to_string()).collect()
}

#[test]
fn users_go_before_groups_and_after_services_in_one_run() {
    let host = SimHost::debian(12);
    perform(&host, Effect::Platform(PlatformEffect::CreateGroup { name: "p".into(), gid: None, system: false }));
    converge::<User>(&host, "pu", json!({ "primary_group": "p" }));
    let gone = json!({ "ensure": "absent" });
    let mut site = Site::new();
    site.declare::<Group>("p", declare(gone.clone()));
    site.declare::<User>("pu", declare(gone.clone()));
    site.declare::<crate::service::Service>("cron", declare(json!({ "running": false, "enabled": false })));
    site.declare::<Directory>("/var/lib/pu", declare(gone));
    assert_eq!(order_of(site, &host), ["directory:/var/lib/pu", "service:cron", "user:pu", "group:p"]);
    assert!(host.group("p").unwrap().is_none() && host.user("pu").unwrap().is_none());
}

#[test]
fn a_group_that_does_not_go_with_its_user_goes_in_the_same_run() {
    let host = SimHost::debian(12).with_user("deploy").with_file("/etc/login.defs", "USERGROUPS_ENAB no\n");
    let gone = json!({ "ensure": "absent" });
    let mut site = Site::new();
    site.declare::<Group>("deploy", declare(gone.clone()));
    site.declare::<User>("deploy", declare(gone.clone()));
    assert_eq!(order_of(site, &host), ["user:deploy", "group:deploy"]);
    let host = SimHost::debian(12).with_user("deploy").with_file("/etc/login.defs", "USERGROUPS_ENAB no\n");
    converge::<User>(&host, "deploy", gone);
    assert!(host.group("deploy").unwrap().is_some());
}

#[test]
fn a_home_that_is_made_later_is_one_that_useradd_makes() {
    let home = HostPath::new("/home/deploy").unwrap();
    let later = |host: &SimHost| {
        words(host, json!({ "create_home": false }));
        let words = words(host, json!({ "create_home": true }));
        (words, host.metadata(&home).unwrap().unwrap().access)
    };
    for (release, mode) in [(12, 0o755), (13, 0o700)] {
        let (words, access) = later(&SimHost::debian(release));
        assert_eq!(words, new_home("/home/deploy"), "Debian {release}");
        assert_eq!(access, Access { owner: "deploy".into(), group: "deploy".into(), mode: Mode::new(mode) });
    }
    let host = SimHost::debian(12).with_file("/etc/login.defs", "UMASK 027 \n#HOME_MODE 0700\n");
    let file = |path: &str, mode| {
        let access = Access { owner: "root".into(), group: "root".into(), mode: Mode::new(mode) };
        Effect::WriteFile(WriteFile::new(HostPath::new(path).unwrap(), "#!/bin/sh\n", access))
    };
    let directory = |path: &str, mode| Effect::CreateDirectory {
        path: HostPath::new(path).unwrap(),
        access: Access { owner: "root".into(), group: "root".into(), mode: Mode::new(mode) },
        attributes: Default::default(),
    };
    perform(&host, directory("/etc/skel/bin", 0o750));
    perform(&host, file("/etc/skel/bin/run", 0o755));
    let (owner, group) = ("root".to_owned(), "root".to_owned());
    let path = HostPath::new("/etc/skel/link").unwrap();
    perform(&host, Effect::CreateSymlink { path, target: "bin/run".into(), owner, group });
    let (_, access) = later(&host);
    assert_eq!(access.mode, Mode::new(0o750));
    // The same as those of a new user.
    let all = |user: &str| -> Vec<_> {
        let under = |path: &str| HostPath::new(&format!("/home/{user}/{path}")).unwrap();
        let paths = ["bin", "bin/run", "link", ".bashrc", ".profile"].map(under);
        let seen = paths.iter().map(|path| host.metadata(path).unwrap().unwrap());
        seen.map(|found| (found.kind, found.access.mode, found.access.owner == user, found.size)).collect()
    };
    converge::<User>(&host, "other", json!({}));
    assert_eq!(all("deploy"), all("other"));
    assert_eq!(host.read_link(&HostPath::new("/home/deploy/link").unwrap()).unwrap().as_deref(), Some("bin/run"));
}

#[test]
fn a_home_that_is_not_the_users_own_is_not_removed() {
    let refused = |host: &SimHost, home: &str, why: &str| {
        let changes = UserChanges { home: Some(HostPath::new(home).unwrap()), ..UserChanges::default() };
        perform(host, Effect::Platform(PlatformEffect::ChangeUser { name: "deploy".into(), changes }));
        let error = fails::<User>(host, "deploy", json!({ "ensure": "absent", "remove_home": true }));
        assert_eq!(error.kind(), ErrorKind::Refused);
        assert!(error.message().contains(why), "{error}");
        assert!(host.user("deploy").unwrap().is_some());
    };
    let host = SimHost::debian(12).with_user("deploy").with_user("other").with_file("/srv/file", "");
    refused(&host, "/home/other", "user other has its home directory in /home/other as well");
    refused(&host, "/root", "not its own");
    refused(&host, "/home", "not its own");
    refused(&host, "/var/lib", "not its own");
    refused(&host, "/usr/lib/deploy", "not its own");
    refused(&host, "/srv/file", "is a file");
    refused(&host, "/var/lib/misc", "belongs to root");
    perform(
        &host,
        Effect::CreateSymlink {
            path: HostPath::new("/srv/link").unwrap(),
            target: "file".into(),
            owner: "deploy".into(),
            group: "deploy".into(),
        },
    );
    refused(&host, "/srv/link", "is a symbolic link");
    // A home beneath goes with the one above it.
    let nested = UserChanges { home: Some(HostPath::new("/home/deploy/sub").unwrap()), ..UserChanges::default() };
    perform(&host, Effect::Platform(PlatformEffect::ChangeUser { name: "other".into(), changes: nested }));
    refused(&host, "/home/deploy", "user other");
    let host = SimHost::debian(12).with_user("deploy").with_file("/var/mail/deploy", "");
    refused(&host, "/home/deploy", "the mail spool /var/mail/deploy belongs to root");
    // A home that is not there belongs to no user.
    let host = SimHost::debian(12).with_user("deploy");
    let changes = UserChanges { home: Some(HostPath::new("/nonexistent/deploy").unwrap()), ..UserChanges::default() };
    perform(&host, Effect::Platform(PlatformEffect::ChangeUser { name: "deploy".into(), changes }));
    assert_eq!(words(&host, json!({ "ensure": "absent", "remove_home": true })).len(), 1);
}
