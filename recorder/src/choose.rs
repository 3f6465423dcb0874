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

/// The packages that come when some are installed; none if they cannot be installed together.
pub fn installation(base: &Base, names: &[String]) -> Result<Option<BTreeSet<String>>, String> {
    let mut argv =
        vec!["apt-get", "--simulate", "--no-remove", "--option", "APT::Get::Show-User-Simulation-Note=no", "install"];
    argv.extend(names.iter().map(String::as_str));
    let said = online(&base.path, &argv)?;
    Ok(said.success.then(|| simulated(&said.output)))
}

/// As many of the names as can be installed together, earlier ones first.
pub fn together(names: &[String], fits: &dyn Fn(&[String]) -> Result<bool, String>) -> Result<Vec<String>, String> {
    let mut chosen = Vec::new();
    extend(&mut chosen, names, fits)?;
    Ok(chosen)
}

fn extend(
    chosen: &mut Vec<String>,
    names: &[String],
    fits: &dyn Fn(&[String]) -> Result<bool, String>,
) -> Result<(), String> {
    if names.is_empty() {
        return Ok(());
    }
    let before = chosen.len();
    chosen.extend_from_slice(names);
    if fits(chosen)? {
        return Ok(());
    }
    chosen.truncate(before);
    if names.len() > 1 {
        let (first, second) = names.split_at(names.len() / 2);
        extend(chosen, first, fits)?;
        extend(chosen, second, fits)?;
    }
    Ok(())
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

    #[test]
    fn what_conflicts_is_left_for_later() {
        let names: Vec<String> = ["a", "exim", "b", "postfix", "c", "impossible"].map(str::to_owned).into();
        let fits = |names: &[String]| {
            let has = |name: &str| names.iter().any(|one| one == name);
            Ok(!has("impossible") && !(has("exim") && has("postfix")))
        };
        assert_eq!(together(&names, &fits).unwrap(), ["a", "exim", "b", "c"]);
    }
}
