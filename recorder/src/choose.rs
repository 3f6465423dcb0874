//! Which packages are recorded, and in which rounds.

use std::collections::BTreeSet;

use crate::root::Base;
use crate::round::simulated;
use crate::run::online;

/// The names of a list: one a line, with comments.
pub fn parse_list(text: &str) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
    lines.filter(|name| !name.is_empty() && seen.insert(*name)).map(str::to_owned).collect()
}

/// What a simulated installation comes to.
pub enum Outcome {
    /// These packages would be installed.
    Fits(BTreeSet<String>),
    /// It is impossible, and the package manager named these packages while it said why.
    Fails(BTreeSet<String>),
}

/// Simulates an installation.
pub fn installation(base: &Base, names: &[String]) -> Result<Outcome, String> {
    let mut argv = vec!["apt-get", "--simulate", "--no-remove", "install"];
    argv.extend(names.iter().map(String::as_str));
    let said = online(&base.path, &argv)?;
    Ok(if said.success { Outcome::Fits(simulated(&said.output)) } else { Outcome::Fails(named(&said.output)) })
}

/// The packages that stand in an explanation such as ` ufw : Breaks: iptables-persistent but 1.0 is to be installed`.
fn named(output: &str) -> BTreeSet<String> {
    let explanation = output.split("unmet dependencies:").nth(1).unwrap_or_default();
    let words = explanation.split_whitespace().filter(|word| !word.ends_with(':'));
    // The newer solver writes `name:amd64=version`, sometimes in brackets.
    let names = words.filter_map(|word| word.trim_matches([',', '(', ')', '[', ']']).split(':').next());
    names.map(str::to_owned).collect()
}

/// As many of the names as can be installed together, in addition to those that are chosen; earlier ones first.
pub fn extend(
    chosen: &mut Vec<String>,
    names: &[String],
    simulate: &dyn Fn(&[String]) -> Result<Outcome, String>,
) -> Result<(), String> {
    if names.is_empty() {
        return Ok(());
    }
    let before = chosen.len();
    chosen.extend_from_slice(names);
    loop {
        let named = match simulate(chosen)? {
            Outcome::Fits(_) => return Ok(()),
            Outcome::Fails(named) => named,
        };
        // Most often two packages are named that cannot be there at the same time.
        let last = (before..chosen.len()).rev().find(|index| named.contains(&chosen[*index]));
        match last {
            Some(index) => drop(chosen.remove(index)),
            None if chosen.len() <= before + 1 => {
                chosen.truncate(before);
                return Ok(());
            }
            None => {
                let rest = chosen.split_off(before);
                let (first, second) = rest.split_at(rest.len() / 2);
                extend(chosen, first, simulate)?;
                return extend(chosen, second, simulate);
            }
        }
        if chosen.len() == before {
            return Ok(());
        }
    }
}

/// Fetches the files of packages.
pub fn fetch(base: &Base, names: &[String]) -> Result<(), String> {
    // In parts, because the length of a command line is limited.
    for part in names.chunks(400) {
        let script = "cd /var/cache/apt/archives && apt-get -q download \"$@\"";
        let mut argv = vec!["sh", "-c", script, "sh"];
        argv.extend(part.iter().map(String::as_str));
        let said = online(&base.path, &argv)?;
        if !said.success {
            return Err(format!("fetching packages: {}", crate::run::tail(&said.errors)));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_has_comments() {
        assert_eq!(parse_list("# Web\nnginx\n\n curl # tool\nnginx\n"), ["nginx", "curl"]);
    }

    fn simulate(names: &[String], say: bool) -> Outcome {
        let has = |name: &str| names.iter().any(|one| one == name);
        let mut why = BTreeSet::new();
        if has("exim") && has("postfix") {
            why.extend(["exim", "postfix"]);
        }
        if has("impossible") {
            why.insert("impossible");
        }
        if why.is_empty() {
            return Outcome::Fits(names.iter().cloned().collect());
        }
        Outcome::Fails(why.into_iter().filter(|_| say).map(str::to_owned).collect())
    }

    #[test]
    fn what_conflicts_is_left_for_later() {
        let names: Vec<String> = ["a", "exim", "b", "postfix", "c", "impossible"].map(str::to_owned).into();
        for say in [true, false] {
            let mut chosen = vec!["z".to_owned()];
            extend(&mut chosen, &names, &|names| Ok(simulate(names, say))).unwrap();
            assert_eq!(chosen, ["z", "a", "exim", "b", "c"]);
        }
    }

    #[test]
    fn an_explanation_names_packages() {
        let output = "The following packages have unmet dependencies:\n ufw : Breaks: iptables-persistent but 1.0 is to be \
                      installed\n x : Conflicts: y\nE: broken\n";
        assert!(["ufw", "iptables-persistent", "x", "y"].iter().all(|name| named(output).contains(*name)));
        assert!(named("E: Unable to locate package x\n").is_empty());
    }
}
