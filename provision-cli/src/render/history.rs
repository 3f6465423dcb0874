//! The past of a host for people: runs, what became of one that died, and what is undone.

use std::io::Write;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use provision_core::error::Result as CoreResult;
use provision_core::journal::{EffectRecord, Ending, Purpose, Recovered, RunId, RunRecord, RunSummary, SettledState};
use provision_core::rollback::{Left, Rollback};

use super::plan::list as names;
use super::{foreign, json, plan, style};
use crate::cli::{Format, Options};
use crate::exit::Failure;
use crate::output;

/// A time, in the zone of this machine.
fn when(micros: i64) -> String {
    match Timestamp::from_microsecond(micros) {
        Ok(time) => time.to_zoned(TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S").to_string(),
        Err(_) => "at an unknown time".to_owned(),
    }
}

/// What a run was for, in a few words.
fn purpose(purpose: &Purpose, site: &str) -> String {
    match purpose {
        Purpose::Apply => format!("apply {site}"),
        Purpose::Rollback { of } => format!("rollback of run {of}"),
    }
}

fn ending(how: Option<Ending>) -> (&'static str, anstyle::Style) {
    match how {
        Some(Ending::Done) => ("done", style::ADD),
        Some(Ending::Failed) => ("failed", style::FAIL),
        Some(Ending::Stopped) => ("stopped", style::CHANGE),
        Some(Ending::Died) => ("died", style::FAIL),
        Some(Ending::RolledBack) => ("failed and was undone", style::FAIL),
        None => ("has not ended", style::CHANGE),
    }
}

/// Lists runs, a line each.
pub fn list(runs: &[(RunId, CoreResult<RunSummary>)]) -> Result<(), Failure> {
    let mut out = output::stdout();
    if runs.is_empty() {
        writeln!(out, "No run has changed this host yet.")?;
    }
    for (run, summary) in runs {
        match summary {
            Ok(summary) => {
                let (how, color) = ending(summary.ended.as_ref().map(|ended| ended.how));
                let (faint, bold) = (style::FAINT, style::ID);
                writeln!(
                    out,
                    "{bold}{run:>5}{bold:#}  {}  {color}{how}{color:#}, {}  {}  {faint}{}{faint:#}",
                    when(summary.began.unix_micros),
                    count(summary.effects, "effect"),
                    foreign::line(purpose(&summary.info.purpose, &summary.info.site)),
                    foreign::line(&summary.info.who),
                )?;
            }
            Err(error) => {
                let fail = style::FAIL;
                writeln!(out, "{run:>5}  {fail}{}{fail:#}", foreign::line(error))?;
                super::error::details(&mut out, "       ", error)?;
            }
        }
    }
    Ok(())
}

/// Shows a run with each of its effects.
pub fn run(record: &RunRecord, options: &Options) -> Result<(), Failure> {
    let mut out = output::stdout();
    let (how, color) = ending(record.ended.as_ref().map(|ended| ended.how));
    writeln!(
        out,
        "Run {}: {}, {color}{how}{color:#}",
        record.run,
        foreign::line(purpose(&record.info.purpose, &record.info.site))
    )?;
    writeln!(out, "  by     {}", foreign::line(&record.info.who))?;
    writeln!(out, "  began  {}", when(record.began.unix_micros))?;
    if let Some(ended) = &record.ended {
        writeln!(out, "  ended  {}", when(ended.at_micros))?;
    }
    if let Some(digest) = &record.info.site_digest {
        writeln!(out, "  site   sha256:{}", foreign::line(digest))?;
    }
    writeln!(out, "  with   provision {}\n", foreign::line(&record.program))?;
    for effect in &record.effects {
        show_effect(&mut out, effect, options)?;
    }
    for pending in record.ended.iter().flat_map(|ended| &ended.pending_notifications) {
        let color = style::CHANGE;
        writeln!(
            out,
            "{color}pending{color:#}: {} reacts to {}, which changed in run {}",
            foreign::line(&pending.id),
            foreign::line(&pending.because),
            pending.run
        )?;
    }
    Ok(())
}

fn show_effect(out: &mut impl Write, record: &EffectRecord, options: &Options) -> Result<(), Failure> {
    let intent = &record.intent;
    let ids: Vec<String> = intent.ids.iter().map(ToString::to_string).collect();
    let (faint, bold) = (style::FAINT, style::ID);
    let took = match &record.outcome {
        Some(did) if did.recovered => "found by the next run".to_owned(),
        Some(did) => format!("{:.3} s", did.took_micros as f64 / 1e6),
        None => "was under way".to_owned(),
    };
    let failed = record.outcome.as_ref().and_then(|did| did.error.as_ref());
    let (sign, color) = if failed.is_some() { ("!", style::FAIL) } else { ("·", style::FAINT) };
    writeln!(
        out,
        "{color}{sign}{color:#} {}  {bold}{}{bold:#}  {faint}{took}{faint:#}",
        foreign::line(&intent.effect),
        foreign::line(names(&ids))
    )?;
    if let Some(error) = failed {
        writeln!(out, "    {}", foreign::line(error.message()))?;
        super::error::details(out, "    ", error)?;
    }
    if let Some(why) = intent.effect.point_of_no_return().filter(|_| options.verbose > 0) {
        writeln!(out, "    {faint}cannot be undone: {}{faint:#}", foreign::line(why))?;
    }
    Ok(())
}

/// Says that runs have not ended.
pub fn unfinished(runs: &[RunId]) -> Result<(), Failure> {
    for run in runs {
        let color = style::CHANGE;
        writeln!(
            output::stderr(),
            "{color}note{color:#}: run {run} has not ended: it is under way, or died; apply finds out and goes on"
        )?;
    }
    Ok(())
}

/// Says what became of runs that died.
pub fn recovered(runs: &[Recovered], options: &Options) -> Result<(), Failure> {
    for run in runs {
        if options.format == Format::Json {
            json::line(&serde_json::json!({ "event": "recovered", "recovered": run }))?;
            continue;
        }
        let mut out = output::stdout();
        let color = style::CHANGE;
        writeln!(out, "{color}Run {} died{color:#}: it began {} and never ended.", run.run, when(run.began_micros))?;
        for settled in &run.settled {
            let state = match settled.state {
                SettledState::Old => "did not happen",
                SettledState::New => "is done",
                SettledState::Unknown => "may have happened or not",
            };
            writeln!(out, "  {}: {state}", foreign::line(&settled.effect))?;
            if let Some(error) = &settled.error {
                let fail = style::FAIL;
                writeln!(out, "    {fail}{}{fail:#}", foreign::line(error))?;
                super::error::details(&mut out, "    ", error)?;
            }
        }
        for pending in &run.pending_notifications {
            writeln!(
                out,
                "  {} still has to react to {}",
                foreign::line(&pending.id),
                foreign::line(&pending.because)
            )?;
        }
        writeln!(out)?;
    }
    Ok(())
}

/// Shows what would be undone, and what not.
pub fn rollback(rollback: &Rollback, host: &str, options: &Options) -> Result<(), Failure> {
    {
        let mut out = output::stdout();
        writeln!(out, "Undo of run {} on {}\n", rollback.of, foreign::line(host))?;
    }
    plan::show_steps(&rollback.plan, options)?;
    left(rollback, options)
}

/// Shows what is not undone.
pub fn left(rollback: &Rollback, options: &Options) -> Result<(), Failure> {
    if options.format == Format::Json {
        return Ok(());
    }
    let mut out = output::stdout();
    let mut show = |heading: &str, lefts: &[Left]| -> Result<(), Failure> {
        if !lefts.is_empty() {
            writeln!(out, "{heading}")?;
        }
        for left in lefts {
            let ids: Vec<String> = left.ids.iter().map(ToString::to_string).collect();
            let (color, bold) = (style::CHANGE, style::ID);
            writeln!(
                out,
                "  {color}!{color:#} {bold}{}{bold:#}  {}: {}",
                foreign::line(names(&ids)),
                foreign::line(&left.effect),
                foreign::line(&left.because)
            )?;
        }
        Ok(())
    };
    show("Points of no return, which stay:", &rollback.irreversible)?;
    show("Left as it is:", &rollback.kept)
}

fn count(number: usize, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}
