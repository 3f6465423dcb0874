//! What a test of a site expects, compared with what became of the host.

use crate::diagnostic::{Span, did_you_mean};
use crate::host::{FileKind, HostView, HostViewExt};
use crate::path::HostPath;
use crate::plan::Verdict;
use crate::report::{Outcome, StepReport};
use crate::sim::SimHost;
use crate::site::{Expectations, FileExpectation, PlanWord, SiteTest, UnitExpectation};

use super::{Failure, Run};

/// Accounts are not in the file tree of a simulated host.
const ACCOUNT_FILES: [&str; 4] = ["/etc/passwd", "/etc/group", "/etc/shadow", "/etc/gshadow"];

/// Something that is not as expected, and where the test says it.
struct Mismatch {
    path: Vec<String>,
    what: String,
}

fn mismatch(path: &[&str], what: impl Into<String>) -> Mismatch {
    let path = ["expect"].iter().chain(path).map(|part| (*part).to_owned()).collect();
    Mismatch { path, what: what.into() }
}

fn same<T: PartialEq + std::fmt::Display>(
    path: &[&str],
    what: &str,
    wanted: Option<&T>,
    found: &T,
) -> Option<Mismatch> {
    let wanted = wanted.filter(|wanted| *wanted != found)?;
    Some(mismatch(path, format!("{what} is {found}, not {wanted}")))
}

fn there(path: &[&str], what: &str, wanted: bool, found: bool) -> Option<Mismatch> {
    match (wanted, found) {
        (true, false) => Some(mismatch(path, format!("there is no {what}"))),
        (false, true) => Some(mismatch(path, format!("there is a {what}"))),
        _ => None,
    }
}

/// What is not to be there has nothing else to be expected of it.
fn refuse_others(path: &[&str], has_others: bool) -> Option<Mismatch> {
    has_others.then(|| mismatch(path, "nothing else can be expected of what is not to be there"))
}

/// Compares a run and the host after it with what a test expects.
pub(super) fn compare(test: &SiteTest, run: &Run, host: &SimHost) -> Result<(), Failure> {
    let mut mismatches = all(&test.case.expect, run, host).into_iter();
    let Some(first) = mismatches.next() else { return Ok(()) };
    let place = |mismatch: &Mismatch| test.spans.at(&mismatch.path);
    let mut failure = Failure::new(&first.what).plan(run.plan());
    if let Some(span) = place(&first) {
        failure = failure.said_at(span);
    }
    let others: Vec<String> = mismatches
        .map(|other| match place(&other) {
            Some(Span { file, line, column, .. }) => format!("and {}\n  --> {file}:{line}:{column}", other.what),
            None => format!("and {}", other.what),
        })
        .collect();
    Err(if others.is_empty() { failure } else { failure.difference(others.join("\n")) })
}

fn all(expect: &Expectations, run: &Run, host: &SimHost) -> Vec<Mismatch> {
    let mut found = known_resources(expect, run);
    found.extend(run.report().steps.iter().filter_map(|step| outcome(expect, step)));
    found.extend(expect.plan.iter().filter_map(|(id, wanted)| planned(id, *wanted, run)));
    found.extend(expect.files.iter().flat_map(|(path, file)| compare_file(path, file, host)));
    found.extend(expect.packages.iter().filter_map(|(name, wanted)| {
        there(&["packages", name], &format!("package {name}"), *wanted, host.has_package(name))
    }));
    found.extend(
        expect.users.iter().filter_map(|(name, wanted)| {
            there(&["users", name], &format!("user {name}"), *wanted, host.has_user(name))
        }),
    );
    found.extend(expect.groups.iter().filter_map(|(name, wanted)| {
        let group = host.group(name).is_ok_and(|group| group.is_some());
        there(&["groups", name], &format!("group {name}"), *wanted, group)
    }));
    found.extend(expect.units.iter().flat_map(|(name, unit)| compare_unit(name, unit, host)));
    found
}

/// Every resource that is named is one of the site.
fn known_resources(expect: &Expectations, run: &Run) -> Vec<Mismatch> {
    let ids: Vec<String> = run.plan().steps.iter().map(|step| step.id.to_string()).collect();
    let fails = expect.fails.iter().map(|id| (vec!["fails"], id.to_string()));
    let changes = expect.changes.iter().flatten().map(|id| (vec!["changes"], id.to_string()));
    let plan = expect.plan.keys().map(|id| (vec!["plan", id], id.clone()));
    let unknown = fails.chain(changes).chain(plan).filter(|(_, id)| !ids.contains(id));
    unknown
        .map(|(path, id)| {
            let near = did_you_mean(&id, ids.iter().map(String::as_str));
            let hint = near.map(|near| format!("; did you mean {near}?")).unwrap_or_default();
            mismatch(&path, format!("the site has no resource {id}{hint}"))
        })
        .collect()
}

fn outcome(expect: &Expectations, step: &StepReport) -> Option<Mismatch> {
    let id = &step.id;
    match (&step.outcome, expect.fails.contains(id)) {
        (Outcome::Failed { error }, false) => {
            let hint = error.hint().map(|hint| format!(" ({hint})")).unwrap_or_default();
            return Some(mismatch(&["fails"], format!("{id} failed: {error}{hint}")));
        }
        (Outcome::Failed { .. }, true) | (_, false) => {}
        (_, true) => return Some(mismatch(&["fails"], format!("{id} did not fail"))),
    }
    match (expect.changes.as_ref()?.contains(id), !step.effects.is_empty()) {
        (true, false) => Some(mismatch(&["changes"], format!("{id} did not change"))),
        (false, true) => Some(mismatch(&["changes"], format!("{id} changed"))),
        _ => None,
    }
}

fn planned(id: &str, wanted: PlanWord, run: &Run) -> Option<Mismatch> {
    let step = run.plan().steps.iter().find(|step| step.id.to_string() == id)?;
    let (found, says) = match step.verdict {
        Verdict::InSync => (PlanWord::InSync, "in sync"),
        Verdict::Change => (PlanWord::Change, "to be changed"),
        Verdict::Deferred { .. } => (PlanWord::Deferred, "decided later"),
        Verdict::Failed { .. } => (PlanWord::Failed, "impossible"),
        Verdict::Skipped { .. } => (PlanWord::Skipped, "skipped"),
    };
    (found != wanted).then(|| mismatch(&["plan", id], format!("{id} is {says} in the plan")))
}

fn compare_file(path: &HostPath, expect: &FileExpectation, host: &SimHost) -> Vec<Mismatch> {
    let whole = ["files", path.as_str()];
    let at = |field: &'static str| [whole[0], whole[1], field];
    if ACCOUNT_FILES.contains(&path.as_str()) {
        let what = format!("{path} is no file of a simulated host; say what is expected of `users` and `groups`");
        return vec![mismatch(&whole, what)];
    }
    let found = host.metadata(path).ok().flatten();
    if expect.exists == Some(false) {
        let others = FileExpectation { exists: None, ..expect.clone() } != FileExpectation::default();
        let is_there = found.map(|_| mismatch(&at("exists"), format!("{path} is there")));
        return refuse_others(&at("exists"), others).or(is_there).into_iter().collect();
    }
    let Some(found) = found else { return vec![mismatch(&whole, format!("there is no {path}"))] };
    let mut mismatches: Vec<Mismatch> = [
        same(&at("owner"), &format!("the owner of {path}"), expect.owner.as_ref(), &found.access.owner),
        same(&at("group"), &format!("the group of {path}"), expect.group.as_ref(), &found.access.group),
        same(&at("mode"), &format!("the mode of {path}"), expect.mode.as_ref(), &found.access.mode),
    ]
    .into_iter()
    .flatten()
    .collect();
    if let Some(wanted) = &expect.target {
        mismatches.extend(match found.kind {
            FileKind::Symlink => {
                let target = host.file(path.as_str()).text();
                same(&at("target"), &format!("the target of {path}"), Some(wanted), &target)
            }
            other => Some(mismatch(&at("target"), format!("{path} is {}, not a link", other.noun()))),
        });
    }
    mismatches.extend(compare_text(path, expect, host));
    mismatches
}

/// What a file holds. Its text is shown once, however much of it is unexpected.
fn compare_text(path: &HostPath, expect: &FileExpectation, host: &SimHost) -> Option<Mismatch> {
    if expect.text.is_none() && expect.contains.is_empty() && expect.lacks.is_empty() {
        return None;
    }
    let at = |field: &'static str| ["files", path.as_str(), field];
    let text = match host.read(path) {
        Ok(content) => content.map(|content| String::from_utf8_lossy(content.bytes()).into_owned()).unwrap_or_default(),
        Err(error) => return Some(mismatch(&["files", path.as_str()], format!("{path}: {error}"))),
    };
    let other = expect.text.iter().filter(|wanted| **wanted != text).map(|_| ("text", "holds another text".to_owned()));
    let missing = expect.contains.iter().filter(|part| !text.contains(part.as_str()));
    let missing = missing.map(|part| ("contains", format!("does not contain {part:?}")));
    let unwanted = expect.lacks.iter().filter(|part| text.contains(part.as_str()));
    let unwanted = unwanted.map(|part| ("lacks", format!("contains {part:?}")));
    let (fields, wrong): (Vec<_>, Vec<_>) = other.chain(missing).chain(unwanted).unzip();
    let shown: String = text.lines().map(|line| format!("\n  | {line}")).collect();
    Some(mismatch(&at(fields.first()?), format!("{path} {}:{shown}", wrong.join(", and "))))
}

fn compare_unit(name: &str, expect: &UnitExpectation, host: &SimHost) -> Vec<Mismatch> {
    let unit = host.unit(name);
    let at = |field: &'static str| ["units", name, field];
    if expect.exists == Some(false) {
        let others = UnitExpectation { exists: None, ..expect.clone() } != UnitExpectation::default();
        let is_there = there(&at("exists"), &format!("unit {name}"), false, unit.exists());
        return refuse_others(&at("exists"), others).or(is_there).into_iter().collect();
    }
    if !unit.exists() {
        let hint = "; say `exists = false` if that is meant";
        return vec![mismatch(&["units", name], format!("there is no unit {name}{hint}"))];
    }
    let is = |field: &'static str, wanted: Option<bool>, found: bool| {
        wanted.filter(|wanted| *wanted != found)?;
        let not = if found { "" } else { "not " };
        Some(mismatch(&at(field), format!("{name} is {not}{field}")))
    };
    let count = |field: &'static str, what: &str, wanted: Option<u32>, found: u32| {
        let wanted = wanted.filter(|wanted| *wanted != found)?;
        Some(mismatch(&at(field), format!("{name} was {what} {}, not {}", times(found), times(wanted))))
    };
    let mismatches = [
        is("active", expect.active, unit.is_active()),
        is("enabled", expect.enabled, unit.is_enabled()),
        is("masked", expect.masked, unit.is_masked()),
        count("starts", "started", expect.starts, unit.starts()),
        count("restarts", "restarted", expect.restarts, unit.restarts()),
        count("reloads", "reloaded", expect.reloads, unit.reloads()),
    ];
    mismatches.into_iter().flatten().collect()
}

fn times(count: u32) -> String {
    match count {
        0 => "never".to_owned(),
        1 => "once".to_owned(),
        2 => "twice".to_owned(),
        more => format!("{more} times"),
    }
}
