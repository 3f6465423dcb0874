//! What a test of a site expects, compared with what became of the host.

use crate::diagnostic::did_you_mean;
use crate::host::{FileKind, HostView, SimHost};
use crate::path::HostPath;
use crate::plan::Verdict;
use crate::report::Outcome;
use crate::site::{Expectations, FileExpectation, PlanWord, SiteTest, UnitExpectation};

use super::{Failure, Run};

/// Accounts are not in the file tree of a simulated host.
const ACCOUNT_FILES: [&str; 4] = ["/etc/passwd", "/etc/group", "/etc/shadow", "/etc/gshadow"];

/// Something that is not as expected, and where the test says it.
struct Mismatch {
    path: Vec<String>,
    what: String,
}

type Compared = Result<(), Mismatch>;

fn mismatch(path: &[&str], what: impl Into<String>) -> Mismatch {
    let path = ["expect"].iter().chain(path).map(|part| (*part).to_owned()).collect();
    Mismatch { path, what: what.into() }
}

fn same<T: PartialEq + std::fmt::Display>(path: &[&str], what: &str, wanted: Option<&T>, found: &T) -> Compared {
    match wanted {
        Some(wanted) if wanted != found => Err(mismatch(path, format!("{what} is {found}, not {wanted}"))),
        _ => Ok(()),
    }
}

/// Compares a run and the host after it with what a test expects.
pub(super) fn compare(test: &SiteTest, run: &Run, host: &SimHost) -> Result<(), Failure> {
    all(&test.case.expect, run, host).map_err(|mismatch| {
        let mut failure = Failure::new(mismatch.what).plan(run.plan());
        if let Some(span) = test.spans.at(&mismatch.path) {
            failure = failure.said_at(span);
        }
        failure
    })
}

fn all(expect: &Expectations, run: &Run, host: &SimHost) -> Compared {
    known_resources(expect, run)?;
    outcomes(expect, run)?;
    for (path, file) in &expect.files {
        compare_file(path, file, host)?;
    }
    for (name, wanted) in &expect.packages {
        there(&["packages", name], &format!("package {name}"), *wanted, host.has_package(name))?;
    }
    for (name, wanted) in &expect.users {
        there(&["users", name], &format!("user {name}"), *wanted, host.has_user(name))?;
    }
    for (name, wanted) in &expect.groups {
        let found = host.group(name).is_ok_and(|group| group.is_some());
        there(&["groups", name], &format!("group {name}"), *wanted, found)?;
    }
    expect.units.iter().try_for_each(|(name, unit)| compare_unit(name, unit, host))
}

fn there(path: &[&str], what: &str, wanted: bool, found: bool) -> Compared {
    match (wanted, found) {
        (true, false) => Err(mismatch(path, format!("there is no {what}"))),
        (false, true) => Err(mismatch(path, format!("there is a {what}"))),
        _ => Ok(()),
    }
}

/// What is not to be there has nothing else to be expected of it.
fn refuse_others(path: &[&str], has_others: bool) -> Compared {
    if has_others {
        return Err(mismatch(path, "nothing else can be expected of what is not to be there"));
    }
    Ok(())
}

/// Every resource that is named is one of the site.
fn known_resources(expect: &Expectations, run: &Run) -> Compared {
    let ids: Vec<String> = run.plan().steps.iter().map(|step| step.id.to_string()).collect();
    let known = |path: &[&str], id: &str| {
        if ids.iter().any(|known| known == id) {
            return Ok(());
        }
        let near = did_you_mean(id, ids.iter().map(String::as_str));
        let hint = near.map(|near| format!("; did you mean {near}?")).unwrap_or_default();
        Err(mismatch(path, format!("the site has no resource {id}{hint}")))
    };
    expect.fails.iter().try_for_each(|id| known(&["fails"], &id.to_string()))?;
    expect.changes.iter().flatten().try_for_each(|id| known(&["changes"], &id.to_string()))?;
    expect.plan.keys().try_for_each(|id| known(&["plan", id], id))
}

fn outcomes(expect: &Expectations, run: &Run) -> Compared {
    for step in &run.report().steps {
        let id = step.id.to_string();
        let expected = expect.fails.contains(&step.id);
        match &step.outcome {
            Outcome::Failed { error } if !expected => {
                let hint = error.hint().map(|hint| format!(" ({hint})")).unwrap_or_default();
                return Err(mismatch(&["fails"], format!("{id} failed: {error}{hint}")));
            }
            Outcome::Failed { .. } => {}
            _ if expected => return Err(mismatch(&["fails"], format!("{id} did not fail"))),
            _ => {}
        }
        if let Some(changes) = &expect.changes {
            let changed = !step.effects.is_empty();
            match (changes.contains(&step.id), changed) {
                (true, false) => return Err(mismatch(&["changes"], format!("{id} did not change"))),
                (false, true) => return Err(mismatch(&["changes"], format!("{id} changed"))),
                _ => {}
            }
        }
    }
    for (id, wanted) in &expect.plan {
        let Some(step) = run.plan().steps.iter().find(|step| step.id.to_string() == *id) else { continue };
        let (found, says) = match step.verdict {
            Verdict::InSync => (PlanWord::InSync, "in sync"),
            Verdict::Change => (PlanWord::Change, "to be changed"),
            Verdict::Deferred { .. } => (PlanWord::Deferred, "decided later"),
            Verdict::Failed { .. } => (PlanWord::Failed, "impossible"),
            Verdict::Skipped { .. } => (PlanWord::Skipped, "skipped"),
        };
        if found != *wanted {
            return Err(mismatch(&["plan", id], format!("{id} is {says} in the plan")));
        }
    }
    Ok(())
}

fn compare_file(path: &HostPath, expect: &FileExpectation, host: &SimHost) -> Compared {
    let at = |field: &'static str| [vec!["files", path.as_str()], vec![field]].concat();
    let found = host.metadata(path).ok().flatten();
    let wants_it = expect.exists != Some(false);
    if ACCOUNT_FILES.contains(&path.as_str()) {
        let what = format!("{path} is no file of a simulated host; say what is expected of `users` and `groups`");
        return Err(mismatch(&["files", path.as_str()], what));
    }
    if !wants_it {
        let others = FileExpectation { exists: None, ..expect.clone() };
        refuse_others(&at("exists"), others != FileExpectation::default())?;
    }
    let Some(found) = found else {
        return if wants_it { Err(mismatch(&["files", path.as_str()], format!("there is no {path}"))) } else { Ok(()) };
    };
    if !wants_it {
        return Err(mismatch(&at("exists"), format!("{path} is there")));
    }
    same(&at("owner"), &format!("the owner of {path}"), expect.owner.as_ref(), &found.access.owner)?;
    same(&at("group"), &format!("the group of {path}"), expect.group.as_ref(), &found.access.group)?;
    same(&at("mode"), &format!("the mode of {path}"), expect.mode.as_ref(), &found.access.mode)?;
    if let Some(wanted) = &expect.target {
        if found.kind != FileKind::Symlink {
            return Err(mismatch(&at("target"), format!("{path} is {}, not a link", found.kind.noun())));
        }
        same(&at("target"), &format!("the target of {path}"), Some(wanted), &host.file(path.as_str()).text())?;
    }
    if expect.text.is_none() && expect.contains.is_empty() && expect.lacks.is_empty() {
        return Ok(());
    }
    let text = match host.read(path) {
        Ok(content) => content.map(|content| String::from_utf8_lossy(content.bytes()).into_owned()).unwrap_or_default(),
        Err(error) => return Err(mismatch(&["files", path.as_str()], format!("{path}: {error}"))),
    };
    let shown = || text.lines().map(|line| format!("\n  | {line}")).collect::<String>();
    if expect.text.as_ref().is_some_and(|wanted| *wanted != text) {
        return Err(mismatch(&at("text"), format!("{path} holds another text:{}", shown())));
    }
    if let Some(part) = expect.contains.iter().find(|part| !text.contains(part.as_str())) {
        return Err(mismatch(&at("contains"), format!("{path} does not contain {part:?}:{}", shown())));
    }
    if let Some(part) = expect.lacks.iter().find(|part| text.contains(part.as_str())) {
        return Err(mismatch(&at("lacks"), format!("{path} contains {part:?}:{}", shown())));
    }
    Ok(())
}

fn compare_unit(name: &str, expect: &UnitExpectation, host: &SimHost) -> Compared {
    let unit = host.unit(name);
    let at = |field: &'static str| vec!["units", name, field];
    let is = |field: &'static str, wanted: Option<bool>, found: bool| match wanted {
        Some(wanted) if wanted != found => {
            let not = if found { "" } else { "not " };
            Err(mismatch(&at(field), format!("{name} is {not}{field}")))
        }
        _ => Ok(()),
    };
    if expect.exists == Some(false) {
        let others = UnitExpectation { exists: None, ..expect.clone() };
        refuse_others(&["units", name, "exists"], others != UnitExpectation::default())?;
        return there(&["units", name, "exists"], &format!("unit {name}"), false, unit.exists());
    }
    if !unit.exists() {
        let hint = "; say `exists = false` if that is meant";
        return Err(mismatch(&["units", name], format!("there is no unit {name}{hint}")));
    }
    is("active", expect.active, unit.is_active())?;
    is("enabled", expect.enabled, unit.is_enabled())?;
    is("masked", expect.masked, unit.is_masked())?;
    let count = |field: &'static str, what: &str, wanted: Option<u32>, found: u32| match wanted {
        Some(wanted) if wanted != found => {
            Err(mismatch(&at(field), format!("{name} was {what} {}, not {}", times(found), times(wanted))))
        }
        _ => Ok(()),
    };
    count("starts", "started", expect.starts, unit.starts())?;
    count("restarts", "restarted", expect.restarts, unit.restarts())?;
    count("reloads", "reloaded", expect.reloads, unit.reloads())
}

fn times(count: u32) -> String {
    match count {
        0 => "never".to_owned(),
        1 => "once".to_owned(),
        2 => "twice".to_owned(),
        more => format!("{more} times"),
    }
}
