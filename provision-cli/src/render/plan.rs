//! A plan for people.

mod changes;
mod packages;

use std::io::Write;

use provision_core::diagnostic::Span;
use provision_core::effect::Effect;
use provision_core::journal::{Made, Orphan};
use provision_core::plan::{Change, OtherSite, Plan, PlanCounts, Reaction, Step, Verdict};
use provision_core::resource::ResourceId;
use serde_json::Value;

use super::{error, foreign, style};
use crate::cli::Options;
use crate::exit::Failure;
use crate::output;

pub use changes::show as show_changes;
#[cfg(test)]
pub use packages::show as show_packages;

/// Shows what would be done, and a summary.
pub fn show(plan: &Plan, host: &str, options: &Options) -> Result<(), Failure> {
    if !options.quiet {
        writeln!(output::stdout(), "Plan for {}\n", foreign::line(host))?;
    }
    show_steps(plan, options)
}

/// Shows the steps of a plan, and a summary.
pub fn show_steps(plan: &Plan, options: &Options) -> Result<(), Failure> {
    let mut out = output::stdout();
    for step in &plan.steps {
        if step.verdict != Verdict::InSync || step.reaction.is_some() || options.verbose > 0 {
            show_step(&mut out, step, options)?;
        }
    }
    packages::show(&mut out, &plan.transactions)?;
    points_of_no_return(&mut out, plan)?;
    for OtherSite { site, resources } in &plan.others {
        let (faint, count) = (style::FAINT, resources.len());
        let ids: Vec<String> = resources.iter().take(3).map(foreign::line).collect();
        let more = if count > 3 { " and others" } else { "" };
        let site = foreign::line(site);
        writeln!(out, "  {faint}what the site `{site}` made stays: {}{more}{faint:#}", ids.join(", "))?;
    }
    leftovers(&mut out, &plan.orphans, options)?;
    for pending in &plan.dropped_notifications {
        let faint = style::FAINT;
        writeln!(
            out,
            "\n{faint}{} is no longer declared, so its notification of run {} is dropped{faint:#}",
            foreign::line(&pending.id),
            pending.run
        )?;
    }
    summary(&mut out, plan)
}

/// The sign, its colour, and what is said of a resource: one line in front of the details.
pub fn headline(
    out: &mut impl Write,
    sign: (&str, anstyle::Style),
    id: &ResourceId,
    says: &str,
    declared_at: Option<&Span>,
) -> std::io::Result<()> {
    let ((sign, color), bold, faint) = (sign, style::ID, style::FAINT);
    write!(out, "{color}{sign}{color:#} {bold}{}{bold:#}", foreign::line(id))?;
    if !says.is_empty() {
        write!(out, "  {}", foreign::line(says))?;
    }
    if let Some(span) = declared_at {
        write!(out, "  {faint}{}:{}{faint:#}", foreign::line(&span.file), span.line)?;
    }
    writeln!(out)
}

/// The sign of what happens to a resource: it appears, it goes, or it changes.
pub fn sign(changes: &[Change]) -> (&'static str, anstyle::Style) {
    let all = |side: fn(&Change) -> &Value| {
        let nothing = |change: &Change| match side(change) {
            Value::Null => true,
            Value::Bool(there) => change.attribute == "exists" && !there,
            value => value == "absent",
        };
        !changes.is_empty() && changes.iter().all(nothing)
    };
    if all(|change| &change.from) {
        ("+", style::ADD)
    } else if all(|change| &change.to) {
        ("-", style::REMOVE)
    } else {
        ("~", style::CHANGE)
    }
}

fn show_step(out: &mut impl Write, step: &Step, options: &Options) -> Result<(), Failure> {
    let at = step.declared_at.as_ref();
    match &step.verdict {
        Verdict::InSync => match &step.reaction {
            Some(reaction) => headline(out, ("~", style::CHANGE), &step.id, &reacts(reaction), at)?,
            None => headline(out, (" ", style::FAINT), &step.id, "in sync", at)?,
        },
        Verdict::Change => {
            headline(out, sign(&step.changes), &step.id, "", at)?;
            show_changes(out, &step.changes, options)?;
            if let Some(reaction) = &step.reaction {
                writeln!(out, "    then {}", foreign::line(reacts(reaction)))?;
            }
        }
        Verdict::Deferred { because } => {
            headline(out, ("?", style::HINT), &step.id, &format!("is decided once {because}"), at)?;
        }
        Verdict::Failed { error } => show_failure(out, &step.id, error, at)?,
        Verdict::Skipped { because } => {
            headline(
                out,
                ("!", style::FAIL),
                &step.id,
                &format!("would be skipped, because {because} cannot be done"),
                at,
            )?;
        }
    }
    if options.verbose > 0 {
        for doubt in &step.assumes {
            let faint = style::FAINT;
            writeln!(
                out,
                "    {faint}· unless {} brings {}{faint:#}",
                foreign::line(&doubt.because),
                foreign::line(&doubt.about)
            )?;
        }
        for effect in effects_of(step) {
            let faint = style::FAINT;
            writeln!(out, "    {faint}· {}{faint:#}", foreign::line(effect))?;
        }
    }
    Ok(())
}

/// Shows a resource that failed, or would.
pub fn show_failure(
    out: &mut impl Write,
    id: &ResourceId,
    error: &provision_core::error::Error,
    at: Option<&Span>,
) -> std::io::Result<()> {
    headline(out, ("!", style::FAIL), id, "", at)?;
    let fail = style::FAIL;
    writeln!(out, "    {fail}{}{fail:#}", foreign::line(error))?;
    error::details(out, "    ", error)
}

/// More resources that are no longer declared are counted, unless more is asked for.
const MOST_LEFTOVERS: usize = 5;

/// Names what is no longer declared and stays: each of a few, or how many there are of a kind, with the first ones.
fn leftovers(out: &mut impl Write, all: &[Orphan], options: &Options) -> Result<(), Failure> {
    let asked_for = |orphan: &&Orphan| options.verbose > 0 || !orphan.made.is_empty();
    let (changed, rest): (Vec<_>, Vec<_>) = all.iter().filter(asked_for).partition(|orphan| !orphan.changed.is_empty());
    let (needed, left): (Vec<_>, Vec<_>) = rest.into_iter().partition(|orphan| !orphan.needed.is_empty());
    for (found, says, helps) in [
        (changed, "something else has changed them since", ""),
        (needed, "something that is declared needs them", ""),
        (left, "they are as they were left", "--prune removes them; "),
    ] {
        if found.len() <= MOST_LEFTOVERS || options.verbose > 0 {
            found.iter().try_for_each(|orphan| leftover(out, orphan))?;
            continue;
        }
        let faint = style::FAINT;
        let first: Vec<String> = found.iter().take(MOST_LEFTOVERS).map(|orphan| foreign::line(&orphan.id)).collect();
        writeln!(
            out,
            "  {faint}{} resources are no longer declared, and stay: {says} ({} and {} more; {helps}-v lists all){faint:#}",
            found.len(),
            first.join(", "),
            found.len() - MOST_LEFTOVERS
        )?;
    }
    Ok(())
}

fn leftover(out: &mut impl Write, orphan: &Orphan) -> Result<(), Failure> {
    let faint = style::FAINT;
    let named = |made: &[Made]| list(&made.iter().map(foreign::line).collect::<Vec<_>>());
    let run = orphan.run;
    let says = if orphan.made.is_empty() {
        "; what it is about was there before".to_owned()
    } else if !orphan.changed.is_empty() {
        format!(", and stays: something else has changed {} since run {run}", named(&orphan.changed))
    } else if !orphan.needed.is_empty() {
        format!(", and stays: something that is declared needs {}", named(&orphan.needed))
    } else {
        format!(", and stays as run {run} left it: {} (--prune removes it)", named(&orphan.made))
    };
    writeln!(out, "  {faint}{} is no longer declared{says}{faint:#}", foreign::line(&orphan.id))?;
    Ok(())
}

/// The effects of a step, those of its reaction included.
pub fn effects_of(step: &Step) -> impl Iterator<Item = &Effect> {
    step.effects.iter().chain(step.reaction.iter().flat_map(|reaction| &reaction.effects))
}

/// Names what cannot be undone.
fn points_of_no_return(out: &mut impl Write, plan: &Plan) -> Result<(), Failure> {
    let all = plan.steps.iter().flat_map(|step| effects_of(step).map(move |effect| (&step.id, effect)));
    for (number, (id, why)) in all.filter_map(|(id, effect)| Some((id, effect.point_of_no_return()?))).enumerate() {
        if number == 0 {
            writeln!(out, "\nPoints of no return:")?;
        }
        let (color, bold) = (style::CHANGE, style::ID);
        writeln!(out, "  {color}!{color:#} {bold}{}{bold:#}  {}", foreign::line(id), foreign::line(why))?;
    }
    Ok(())
}

fn reacts(reaction: &Reaction) -> String {
    let effects: Vec<String> = reaction.effects.iter().map(ToString::to_string).collect();
    if let [pending, ..] = reaction.pending_notifications.as_slice() {
        let causes: Vec<String> =
            reaction.pending_notifications.iter().map(|pending| pending.because.to_string()).collect();
        return format!("{}, pending since run {} because {} changed", effects.join(", "), pending.run, list(&causes));
    }
    let causes: Vec<String> = reaction.causes.iter().map(ToString::to_string).collect();
    let (why, s) = if reaction.certain { ("because", "s") } else { ("if", "s") };
    let s = if causes.len() == 1 { s } else { "" };
    format!("{}, {why} {} change{s}", effects.join(", "), list(&causes))
}

/// `a`, `a and b`, `a, b and 3 more`.
pub fn list(names: &[String]) -> String {
    match names {
        [] => String::new(),
        [one] => one.clone(),
        [one, two] => format!("{one} and {two}"),
        [one, two, rest @ ..] => format!("{one}, {two} and {} more", rest.len()),
    }
}

fn summary(out: &mut impl Write, plan: &Plan) -> Result<(), Failure> {
    let counts = plan.counts();
    if plan.is_empty() {
        writeln!(out, "Nothing to do: {} in sync.", resources(counts.in_sync))?;
        return Ok(());
    }
    let rests = |step: &&Step| step.verdict == Verdict::Change && !step.assumes.is_empty();
    let assuming = plan.steps.iter().filter(rests).count();
    if assuming > 0 {
        let faint = style::FAINT;
        writeln!(
            out,
            "\n{faint}{} may depend on what packages of this plan install, and {} checked again before anything is done \
             (-v shows the assumptions){faint:#}",
            resources(assuming),
            if assuming == 1 { "is" } else { "are" },
        )?;
    }
    writeln!(out, "\nPlan: {}.", counted(&counts))?;
    Ok(())
}

/// How many resources a plan has of each verdict, as [`count_list`] says it.
pub fn counted(counts: &PlanCounts) -> String {
    count_list(&[
        (counts.change, "to change"),
        (counts.deferred, "deferred"),
        (counts.in_sync, "in sync"),
        (counts.failed, "impossible"),
        (counts.skipped, "to be skipped"),
    ])
}

/// `3 to change, 1 in sync`; what is 0 is left out.
pub fn count_list(parts: &[(usize, &str)]) -> String {
    let parts: Vec<String> =
        parts.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect();
    if parts.is_empty() { "nothing".to_owned() } else { parts.join(", ") }
}

fn resources(count: usize) -> String {
    if count == 1 { "1 resource".to_owned() } else { format!("{count} resources") }
}
