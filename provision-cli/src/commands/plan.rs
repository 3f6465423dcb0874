//! `provision plan`: what would apply do?

use std::io::Write;
use std::path::PathBuf;

use provision_core::plan::PlanOptions;
use serde_json::json;

use crate::cli::{Format, Plan};
use crate::context::{self, Program, Target};
use crate::exit::{Exit, Failure};
use crate::output;
use crate::render;
use crate::saved;
use crate::secrets::AtHand;

/// Shows what would be done.
pub fn run(program: &Program<'_>, verb: &Plan) -> Result<Exit, Failure> {
    let options = program.options;
    if verb.output.is_some() && options.simulate {
        return Err(Failure::Usage("a plan of a simulated host is for no host; leave -o out".into()));
    }
    let target = Target::open(options, None)?;
    let cache = target.cache(&verb.site)?;
    let beside = verb.site.sites.first().map(PathBuf::as_path);
    let preview = target.preview(AtHand::of(&verb.secrets, beside))?;
    let facts = context::facts(options, &verb.site, preview.host(), false)?;
    let (site, _) = context::site(program, context::input(&verb.site)?, &verb.chosen, &facts, cache)?;
    if verb.output.is_some() {
        // Digests in the saved plan must be those of the run that applies it.
        preview.journal().make_key()?;
    }
    if preview.pending().is_none() {
        let style = render::style::CHANGE;
        writeln!(
            output::stderr(),
            "{style}warning{style:#}: pending notifications of earlier runs are not known: run as root"
        )?;
    }
    let planned = preview.plan(site, &PlanOptions { only: verb.chosen.only.clone(), ..PlanOptions::default() })?;
    let (plan, graph) = (planned.plan(), planned.graph());
    if let Some(file) = &verb.output {
        saved::write(&planned, &preview, file)?;
    }
    match options.format {
        Format::Markdown => render::markdown::plan(plan, &context::host_name(options, &facts))?,
        Format::Json => render::json::print(&json!({
            "schema": "provision/plan/1",
            "host": facts.hostname,
            "counts": plan.counts(),
            "steps": plan.steps,
            "transactions": plan.transactions,
            "dropped_notifications": plan.dropped_notifications,
            "orphans": plan.orphans,
            "others": plan.others,
            "diagnostics": graph.warnings(),
        }))?,
        Format::Text => {
            render::diagnostics::warnings(graph.warnings(), graph.sources());
            render::history::unfinished(preview.pending().map_or(&[], |pending| &pending.unfinished))?;
            render::plan::show(plan, &context::host_name(options, &facts), options)?;
        }
    }
    let exit = match plan {
        _ if !plan.is_feasible() => Exit::Failure,
        _ if verb.detailed_exitcode && !plan.is_empty() => Exit::Changes,
        _ => Exit::Success,
    };
    let holds_no_secrets = context::holds_no_secrets(graph, plan);
    context::skip_drop(planned, holds_no_secrets);
    Ok(exit)
}
