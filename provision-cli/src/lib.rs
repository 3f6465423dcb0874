//! The command line of provision: arguments in, library calls, rendering out.
//!
//! The program `provision` knows Debian's types. A program that knows others as well has the same verbs:
//!
//! ```no_run
//! use std::process::ExitCode;
//!
//! fn main() -> ExitCode {
//!     // `.with::<MyType>()` adds a type to it.
//!     provision_cli::run(&provision_resources::registry())
//! }
//! ```

mod cli;
mod commands;
mod context;
mod exit;
mod memory;
mod output;
mod render;
mod saved;
mod secrets;

use std::io::Write;
use std::process::ExitCode;

use clap::FromArgMatches;
use clap::error::ErrorKind;
use provision_core::registry::Registry;

use cli::{Arguments, Format, Verb};
use context::Program;
use exit::{Exit, Failure};

/// Does what the arguments of this program ask for, with these resource types.
pub fn run(registry: &Registry) -> ExitCode {
    quieten_the_evaluator();
    let arguments = cli::command().try_get_matches().and_then(|given| Arguments::from_arg_matches(&given));
    let arguments = match arguments {
        Ok(arguments) => arguments,
        Err(error) => {
            // `--help` and `--version` are not mistakes.
            let asked = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
            let _ = error.print();
            return if asked { Exit::Success } else { Exit::Usage }.into();
        }
    };
    arguments.options.color.write_global();
    let level = arguments.options.log_level();
    let colored = anstream::AutoStream::choice(&std::io::stderr()) != anstream::ColorChoice::Never;
    let messages = tracing_subscriber::fmt().with_max_level(level).with_writer(output::stderr);
    messages.with_ansi(colored).without_time().init();
    let program = Program { registry, options: &arguments.options };
    let only_plans = arguments.options.format == Format::Markdown && !matches!(arguments.verb, Verb::Plan(_));
    let result = match &arguments.verb {
        _ if only_plans => Err(Failure::Usage("--format markdown is for `provision plan`".into())),
        Verb::Validate(verb) => commands::validate::run(&program, verb),
        Verb::Plan(verb) => commands::plan::run(&program, verb),
        Verb::Apply(verb) => commands::apply::run(&program, verb),
        Verb::Secret(verb) => commands::secret::run(verb),
        Verb::Test(verb) => commands::test::run(&program, verb),
        Verb::Rollback(verb) => commands::rollback::run(&program, verb),
        Verb::History(verb) => commands::history::run(&arguments.options, verb),
        Verb::Show(verb) => commands::show::run(&arguments.options, verb),
        Verb::Graph(verb) => commands::graph::run(&program, verb),
        Verb::Schema(verb) => commands::schema::run(&program, verb),
        Verb::Facts(verb) => commands::facts::run(&arguments.options, verb),
        Verb::Record(verb) => commands::record::run(&arguments.options, verb),
        Verb::Init(verb) => commands::init::run(&program, verb),
        Verb::Completions(verb) => commands::completions::run(verb),
    };
    let exit = result.unwrap_or_else(|failure| {
        render::error::show(&failure);
        failure.exit()
    });
    let _ = output::raw().flush();
    exit.into()
}

/// A panic in the thread of the evaluator becomes a mistake in the site, which is told of there.
fn quieten_the_evaluator() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if std::thread::current().name() != Some("nickel") {
            usual(panic);
        }
    }));
}
