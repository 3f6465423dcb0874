//! `provision plan`: what would apply do?

use std::path::PathBuf;

use provision_core::plan::PlanOptions;
use serde_json::json;

use crate::cli::{Format, Options, Plan};
use crate::context;
use crate::exit::{Exit, Failure};
use crate::render;
use crate::saved;
use crate::secrets;

/// Shows what would be done.
pub fn run(options: &Options, verb: &Plan) -> Result<Exit, Failure> {
    let target = context::target(options, None)?;
    let host = &target.host;
    let facts = context::facts(options, &verb.site, host, false)?;
    let site = target.site(&verb.site, &facts)?;
    let mut graph = context::graph_for(&target, site, &verb.chosen)?;
    if verb.output.is_some() {
        // Digests in the saved plan must be those of the run that applies it.
        target.journal.make_key()?;
    }
    let beside = verb.site.sites.first().map(PathBuf::as_path);
    secrets::resolve(&mut graph, &target, &verb.secrets, beside, &verb.chosen.only)?;
    let pending = target.pending()?;
    let plan_options = PlanOptions {
        only: verb.chosen.only.clone(),
        pending_notifications: pending.notifications,
        ..PlanOptions::default()
    };
    let planned = graph.plan(&**host, &plan_options)?;
    let plan = planned.plan();
    if let Some(file) = &verb.output {
        saved::write(&planned, &target, &verb.site, file)?;
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
            render::diagnostics::warnings(&graph);
            render::history::unfinished(&pending.unfinished)?;
            render::plan::show(plan, &context::host_name(options, &facts), options)?;
        }
    }
    let exit = match plan {
        _ if !plan.is_feasible() => Exit::Failure,
        _ if verb.detailed_exitcode && !plan.is_empty() => Exit::Changes,
        _ => Exit::Success,
    };
    let holds_no_secrets = context::holds_no_secrets(&graph, plan);
    context::skip_drop(planned, holds_no_secrets);
    context::skip_drop(graph, holds_no_secrets);
    Ok(exit)
}
