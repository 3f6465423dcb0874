//! Packages of a small archive that lies in the root directory itself: names, architectures, marks, lists and scripts that
//! fail, as apt and dpkg of each release have them.

use crate::host::{Directory, Result, Said};
use crate::scenarios::{contains, same};

/// Makes the packages and their list.
const ARCHIVE: &str = r#"set -e
mkdir -p /srv/archive && cd /srv/archive
make() {
  rm -rf /tmp/made && mkdir -p /tmp/made/DEBIAN
  printf 'Package: %s\nVersion: %s\nArchitecture: %s\nMaintainer: us <us@localhost>\n%bDescription: made for a test\n' "$1" "$2" "$3" "$4" >/tmp/made/DEBIAN/control
  if [ -n "$5" ]; then printf '#!/bin/sh\n%s\n' "$5" >/tmp/made/DEBIAN/postinst; chmod 755 /tmp/made/DEBIAN/postinst; fi
  dpkg-deb -b --root-owner-group /tmp/made "$1_$2_$3.deb" >/dev/null
}
list() {
  for file in *.deb; do
    dpkg-deb -f "$file"
    printf 'Filename: ./%s\nSize: %s\nSHA256: %s\n\n' "$file" "$(stat -c %s "$file")" "$(sha256sum "$file" | cut -d' ' -f1)"
  done >Packages
}
"#;

struct Host(Directory);

impl Host {
    fn new(release: &str) -> Result<Host> {
        let host = Host(Directory::new(release)?);
        host.shell(
            "native=$(dpkg --print-architecture)
             make good 1.0 all; make whole 1.0 all; make multi 1.0 $native 'Multi-Arch: same\\n'
             make part 1.0 all; make user 1.0 all 'Depends: part\\n'
             make standin 1.0 all 'Provides: real, imagined\\n'; make real 1.0 all
             make broken 1.0 all '' 'echo the dog ate it >&2; exit 1'
             list
             rm -f /etc/apt/sources.list /etc/apt/sources.list.d/*",
        )?
        .expect(0)?;
        Ok(host)
    }

    fn shell(&self, script: &str) -> Result<Said> {
        self.0.inside(&["sh", "-c", &format!("{ARCHIVE}{script}")])
    }

    fn provision(&self, verb: &str, resources: &str) -> Result<Said> {
        self.0.write("/root/site.ncl", &format!("{{ resources = {{ {SOURCE}, {resources} }} }}"))?;
        let site = self.0.root().join("root/site.ncl");
        self.0.provision(&[verb, site.to_str().ok_or("a path")?])
    }

    /// Applies, and finds nothing to do afterwards.
    fn converge(&self, resources: &str) -> Result<String> {
        let said = self.provision("apply", resources)?.expect(0)?.out;
        contains("the second run", &self.provision("apply", resources)?.expect(0)?.out, "Nothing to do")?;
        Ok(said)
    }

    fn fails(&self, resources: &str, why: &str) -> Result {
        let said = self.provision("apply", resources)?.expect(1)?;
        contains("the run", &format!("{}{}", said.out, said.err), why)
    }

    fn status(&self, name: &str) -> Result<String> {
        self.0.inside(&["dpkg-query", "-W", "-f", "${db:Status-Abbrev}", name]).map(|said| said.out.trim().to_owned())
    }
}

const SOURCE: &str = r#"file."/etc/apt/sources.list.d/own.list".content = "deb [trusted=yes] file:/srv/archive ./\n""#;

/// The source is a file of the site, so the first of these runs has no lists to begin with.
pub fn apt_does_what_is_declared_and_nothing_else(release: &'static str) -> Result {
    let host = Host::new(release)?;
    let plan = host.provision("plan", "package.good = {}")?.expect(0)?.out;
    contains("the plan", &plan, "changes first")?;
    host.converge("package.good = {}")?;

    // A name is that of one package and nothing else.
    for name in ["good+", "good-", "goo."] {
        host.fails(
            &format!("package.\"{name}\".allow_removals = true"),
            &format!("no package source has a package {name}"),
        )?;
        host.converge(&format!("package.\"{name}\" = {{ ensure = 'absent, allow_removals = true }}"))?;
        same("good stays", &host.status("good")?, "ii")?;
    }
    // With the host's own architecture it is the same package.
    host.converge("package = { multi = {}, \"multi:amd64\" = {}, \"whole:amd64\" = {} }")?;
    host.fails("package = { multi = {}, \"multi:amd64\".ensure = 'absent }", "is about the same package")?;
    host.converge("package = { \"multi:amd64\".ensure = 'absent, \"whole:all\".ensure = 'purged }")?;
    same("multi", &host.status("multi")?, "")?;

    // Only a purely virtual package is there because another one provides its name.
    host.converge("package = { standin = {}, imagined = {}, real = {} }")?;
    same("real", &host.status("real")?, "ii")?;
    host.fails("package.imagined.hold = true", "imagined is a virtual package")?;

    // What is declared is wanted for itself.
    host.converge("package.user = {}")?;
    let automatic = || host.0.inside(&["apt-mark", "showauto", "part"]).map(|said| said.out.trim().to_owned());
    same("part came along", &automatic()?, "part")?;
    host.converge("package = { user = {}, part = {} }")?;
    same("part is declared", &automatic()?, "")?;
    host.0.provision(&["rollback"])?.expect(0)?;
    same("part as it was", &automatic()?, "part")?;
    host.converge("package = { user = {}, part.automatic = true }")?;

    // Declarations do not contradict one another silently.
    host.fails(
        "package = { user = {}, part = { ensure = 'absent, allow_removals = true } }",
        "declared as present: package:user",
    )?;
    same("user stays", &host.status("user")?, "ii")?;
    host.converge("package = { user.ensure = 'purged, part.ensure = 'purged }")?;
    host.fails("package = { user = {}, part.ensure = 'absent }", "declared as absent: package:part")?;
    same("user does not come", &host.status("user")?, "")
}

pub fn stale_lists_and_failing_scripts_are_survived(release: &'static str) -> Result {
    let host = Host::new(release)?;
    host.converge("package.whole = {}")?;

    // The archive has moved on, and the lists are young.
    host.shell("rm good_1.0_all.deb; make good 1.1 all; list")?.expect(0)?;
    let said = host.converge("package.good = {}")?;
    contains("the run", &said, "good")?;
    same("good", &host.0.inside(&["dpkg-query", "-W", "-f", "${Version}", "good"])?.out, "1.1")?;

    // A fetch that failed does not make the lists young.
    let fetching = "package.real.lists_max_age = \"0s\"";
    host.shell("mv /srv/archive/Packages /srv/list")?.expect(0)?;
    host.fails(fetching, "apt-get update")?;
    for _ in 0..2 {
        host.fails("package.real = {}", "apt-get update")?;
    }
    same("real", &host.status("real")?, "")?;
    host.shell("mv /srv/list /srv/archive/Packages")?.expect(0)?;
    host.converge("package.real = {}")?;
    host.converge("package.part.lists_max_age = \"0s\"")?;
    // A source that is newer than the lists has them fetched.
    host.shell("sleep 1; touch /etc/apt/sources.list.d/own.list")?.expect(0)?;
    contains("the run", &host.converge("package.multi = {}")?, "~ package_manager:apt")?;

    // What fails keeps nothing else waiting, and apt's status protocol stays inside.
    let said = host.provision("apply", "package = { broken = {}, standin = {} }")?.expect(1)?.out;
    contains("the run", &said, "the dog ate it")?;
    if said.contains("pmerror") || said.contains("pmstatus") {
        return Err(format!("apt's status protocol leaks:\n{said}"));
    }
    same("standin", &host.status("standin")?, "ii")?;
    host.fails("package.user = {}", "these packages cannot be completed: broken")?;
    same("user", &host.status("user")?, "ii")?;
    host.converge("package.broken.ensure = 'purged")?;
    same("broken", &host.status("broken")?, "")?;
    host.converge("package.user = {}").map(drop)
}
