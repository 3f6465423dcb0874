//! Why a test of a site fails: with the plan, the first difference and the line.

use std::collections::BTreeMap;
use std::fmt;

use crate::diagnostic::{Diagnostics, Span};
use crate::error::Error;
use crate::id::ResourceId;
use crate::plan::{Plan, Verdict};
use crate::report::{Outcome, Report};

/// Why a test of a site fails.
#[derive(Clone, Default)]
pub struct Failure(Box<Parts>);

#[derive(Clone, Default)]
struct Parts {
    what: String,
    resource: Option<ResourceId>,
    declared_at: Option<Span>,
    difference: Option<String>,
    plan: Option<String>,
    diagnostics: Option<Diagnostics>,
}

impl Failure {
    /// One in these words.
    pub fn new(what: impl Into<String>) -> Failure {
        Failure(Box::new(Parts { what: what.into(), ..Parts::default() }))
    }

    pub(crate) fn at(mut self, id: &ResourceId, declared_at: Option<&Span>) -> Failure {
        self.0.resource = Some(id.clone());
        self.0.declared_at = declared_at.cloned();
        self
    }

    /// Where the test says what was expected.
    #[cfg(feature = "nickel")]
    pub(crate) fn said_at(mut self, span: &Span) -> Failure {
        self.0.declared_at = Some(span.clone());
        self
    }

    /// The same for a part of a test that a site brings along.
    #[cfg(feature = "nickel")]
    pub(crate) fn said_by(self, test: &crate::site::SiteTest, path: &[&str]) -> Failure {
        let path: Vec<String> = path.iter().map(|part| (*part).to_owned()).collect();
        match test.spans.at(&path) {
            Some(span) => self.said_at(span),
            None => self,
        }
    }

    pub(crate) fn difference(mut self, difference: impl Into<String>) -> Failure {
        self.0.difference = Some(difference.into());
        self
    }

    pub(crate) fn plan(mut self, plan: &Plan) -> Failure {
        self.0.plan = Some(plan.to_string());
        self
    }

    /// Puts something in front of what failed: the case that it was.
    #[must_use]
    pub fn in_case(mut self, case: impl fmt::Display) -> Failure {
        self.0.what = format!("{case}: {}", self.0.what);
        self
    }

    /// Whether another failure has the same cause: what failed, of the same resource, for the same reason.
    pub fn is_like(&self, other: &Failure) -> bool {
        let cause =
            |failure: &Failure| (failure.0.what.clone(), failure.0.resource.clone(), failure.0.difference.clone());
        self.0.diagnostics.is_none() && other.0.diagnostics.is_none() && cause(self) == cause(other)
    }

    /// What failed, in one line.
    pub fn what(&self) -> &str {
        &self.0.what
    }

    /// The resource that it is about, if it is about one.
    pub fn resource(&self) -> Option<&ResourceId> {
        self.0.resource.as_ref()
    }

    /// Where that was declared.
    pub fn declared_at(&self) -> Option<&Span> {
        self.0.declared_at.as_ref()
    }

    /// What is wrong with the site, if it is invalid.
    pub fn diagnostics(&self) -> Option<&Diagnostics> {
        self.0.diagnostics.as_ref()
    }

    /// What went wrong in a run, the first of it.
    pub(crate) fn of_report(report: &Report, plan: &Plan) -> Failure {
        for step in &report.steps {
            let failed = |what: String| Failure::new(what).at(&step.id, step.declared_at.as_ref()).plan(plan);
            match &step.outcome {
                Outcome::Failed { error } => {
                    let mut details: Vec<String> = error.cause().into_iter().map(str::to_owned).collect();
                    details.extend(error.hint().map(|hint| format!("hint: {hint}")));
                    let failure = failed(format!("{} failed: {error}", step.id));
                    return if details.is_empty() { failure } else { failure.difference(details.join("\n")) };
                }
                Outcome::Skipped { because } => return failed(format!("{} is skipped, because of {because}", step.id)),
                Outcome::NotRun => return failed(format!("{} was not reached", step.id)),
                _ => {}
            }
        }
        match &report.journal_error {
            Some(error) => Failure::new(format!("the journal: {error}")).plan(plan),
            None => Failure::new("the run did not succeed").plan(plan),
        }
    }

    /// What a plan would still do, the first of it.
    pub(crate) fn of_plan(what: &str, plan: &Plan) -> Failure {
        let busy = plan.steps.iter().find(|step| step.verdict != Verdict::InSync || step.reaction.is_some());
        let failure = Failure::new(what).plan(plan);
        match busy {
            Some(step) => {
                let failure = failure.at(&step.id, step.declared_at.as_ref());
                match step.changes.first() {
                    Some(change) => failure.difference(change.to_string().trim_end()),
                    None => failure,
                }
            }
            None => failure,
        }
    }

    /// The first thing in which two hosts differ, each as lines by what they are about.
    pub fn of_hosts(what: &str, expected: &BTreeMap<String, String>, found: &BTreeMap<String, String>) -> Failure {
        let line = |lines: &BTreeMap<String, String>, key: &String| lines.get(key).cloned();
        let keys = expected.keys().chain(found.keys());
        let first = keys.filter(|key| line(expected, key) != line(found, key)).min();
        let untouched = || "as the host began".to_owned();
        match first {
            Some(key) => Failure::new(what).difference(format!(
                "{key}\n  expected {}\n  found    {}",
                line(expected, key).unwrap_or_else(untouched),
                line(found, key).unwrap_or_else(untouched)
            )),
            None => Failure::new(what),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Parts { what, resource, declared_at, difference, plan, diagnostics } = &*self.0;
        write!(f, "{what}")?;
        if let Some(span) = declared_at {
            write!(f, "\n  --> {}:{}:{}", span.file, span.line, span.column)?;
        }
        if let Some(id) = resource.as_ref().filter(|id| !what.contains(&id.to_string())) {
            write!(f, "\nin {id}")?;
        }
        if let Some(difference) = difference {
            write!(f, "\n{difference}")?;
        }
        if let Some(plan) = plan {
            write!(f, "\nthe plan:\n{plan}")?;
        }
        if let Some(diagnostics) = diagnostics {
            write!(f, "\n{diagnostics}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Failure {}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        let failure = Failure::new(error.to_string());
        let failure = match error.resource() {
            Some(id) => failure.at(id, error.declared_at()),
            None => failure,
        };
        let details: Vec<String> = error
            .cause()
            .map(str::to_owned)
            .into_iter()
            .chain(error.hint().map(|hint| format!("hint: {hint}")))
            .collect();
        if details.is_empty() { failure } else { failure.difference(details.join("\n")) }
    }
}

impl From<Diagnostics> for Failure {
    fn from(diagnostics: Diagnostics) -> Failure {
        let mut failure = Failure::new("the site is invalid");
        failure.0.diagnostics = Some(diagnostics);
        failure
    }
}
