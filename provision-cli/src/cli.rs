//! What can be said on the command line.

use std::path::PathBuf;

use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};
use provision_core::path::HostPath;
use provision_core::plan::Selector;
use tracing_subscriber::filter::LevelFilter;

/// Keep Debian hosts in the state that a typed configuration declares.
#[derive(Parser, Debug)]
#[command(name = "provision", version, about, max_term_width = 100, subcommand_required = true)]
#[command(after_help = "Example:\n  provision init site && provision plan --simulate site/site.ncl")]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
    /// What holds for every verb.
    #[command(flatten)]
    pub options: Options,
}

/// Options that mean the same everywhere; [`command`] hides them where they mean nothing.
#[derive(Args, Debug)]
#[command(next_help_heading = "Global options")]
pub struct Options {
    /// Work on the Debian system in this directory instead of the running host
    #[arg(long, global = true, value_name = "DIR", conflicts_with = "simulate")]
    pub root: Option<PathBuf>,
    /// Work on a simulated Debian host, in memory
    #[arg(long, global = true)]
    pub simulate: bool,
    /// Read every file and check every resource, ignoring caches
    #[arg(long, global = true)]
    pub full: bool,
    /// Text for people, or JSON for programs
    #[arg(long, global = true, value_enum, default_value_t = Format::Text)]
    pub format: Format,
    /// When to use colours.
    #[command(flatten)]
    pub color: Color,
    /// Increase verbosity (repeat for more)
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// Say less: only changes, failures and the summary
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
}

impl Options {
    /// How much developers are told on standard error.
    pub fn log_level(&self) -> LevelFilter {
        match self.verbose {
            0 | 1 => LevelFilter::WARN,
            2 => LevelFilter::DEBUG,
            _ => LevelFilter::TRACE,
        }
    }
}

/// The command line, with global options hidden from the help of verbs for which they mean nothing.
pub fn command() -> clap::Command {
    /// Verbs that work on no host, show nothing that has a form, or do nothing that could be told in more or fewer words.
    const MEANINGLESS: [(&str, &[&str]); 8] = [
        ("test", &["root", "simulate", "full"]),
        ("rollback", &["simulate", "full"]),
        ("history", &["simulate", "full", "verbose", "quiet"]),
        ("show", &["simulate", "full", "quiet"]),
        ("secret", &["root", "simulate", "full", "format", "verbose", "quiet"]),
        ("facts", &["full", "verbose", "quiet"]),
        ("record", &["full", "format", "verbose", "quiet"]),
        ("graph", &["full", "verbose", "quiet"]),
    ];
    let all = ["root", "simulate", "full", "format", "when", "verbose", "quiet"];
    let no_host = ["schema", "init", "completions"].map(|verb| (verb, &all[..]));
    let mut command = Arguments::command().mut_subcommand("validate", |verb| hiding(verb, &["full"]));
    for (verb, options) in MEANINGLESS.into_iter().chain(no_host) {
        command = command.mut_subcommand(verb, |verb| hiding(verb, options));
    }
    command
}

/// A verb with these global options as hidden ones of its own, which clap then does not pass down to it.
fn hiding(verb: clap::Command, options: &[&str]) -> clap::Command {
    let global = Options::augment_args(clap::Command::new("global"));
    let hidden = global.get_arguments().filter(|option| options.contains(&option.get_id().as_str()));
    let hidden: Vec<clap::Arg> = hidden.map(|option| option.clone().hide(true)).collect();
    verb.args(hidden)
}

/// When to use colours.
#[derive(Args, Debug)]
pub struct Color {
    /// When to use colours; `auto` means on a terminal, unless NO_COLOR is set
    #[arg(long = "color", global = true, value_enum, default_value_t = ColorChoice::Auto, value_name = "WHEN")]
    pub when: ColorChoice,
}

impl Color {
    /// Makes it the choice for all output.
    pub fn write_global(&self) {
        match self.when {
            ColorChoice::Auto => anstream::ColorChoice::Auto,
            ColorChoice::Always => anstream::ColorChoice::Always,
            ColorChoice::Never => anstream::ColorChoice::Never,
        }
        .write_global();
    }
}

/// When to use colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ColorChoice {
    /// On a terminal, unless `NO_COLOR` is set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// For whom the output is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Text,
    /// For programs.
    Json,
    /// For a comment in a review; only plans have it.
    Markdown,
}

/// What to do.
#[derive(Subcommand, Debug)]
pub enum Verb {
    /// Check a site without a host: evaluates it, builds the graph, reports every mistake at once
    #[command(after_help = "Example:\n  provision validate --facts web1.json site.ncl")]
    Validate(Validate),
    /// Show what apply would do, and do none of it
    #[command(
        after_help = "Examples:\n  provision plan site.ncl\n  provision plan -o site.plan site.ncl && provision apply site.plan"
    )]
    Plan(Plan),
    /// Bring the host into the declared state
    #[command(
        after_help = "A deferred resource is one that the plan cannot decide about, because something else has to happen first, such as the\ninstallation of a package: what to do is decided when its turn comes.\n\nExamples:\n  provision apply --ask site.ncl\n  provision apply --prune --set resources.service.nginx.enabled=true site.ncl"
    )]
    Apply(Apply),
    /// Try a site on simulated hosts, and run the tests that it brings along
    #[command(after_help = "Example:\n  provision test --release 13 --junit results.xml site.ncl")]
    Test(Test),
    /// Undo a run
    #[command(after_help = "Examples:\n  provision rollback --plan\n  provision rollback 12")]
    Rollback(Rollback),
    /// List the runs that changed this host
    #[command(after_help = "Example:\n  provision history -n 5")]
    History(History),
    /// Show what a run did
    #[command(after_help = "Example:\n  provision show 12")]
    Show(Show),
    /// Keep secrets beside a site, encrypted to the hosts that need them
    #[command(subcommand)]
    #[command(after_help = "Example:\n  provision secret keygen -o /etc/provision/identity")]
    Secret(SecretVerb),
    /// Show what comes before what, and why
    #[command(after_help = "Example:\n  provision graph --as dot site.ncl | dot -Tsvg > site.svg")]
    Graph(GraphArguments),
    /// Show the contracts and attributes of the resource types
    #[command(after_help = "Examples:\n  provision schema file\n  provision schema --as nickel > provision.ncl")]
    Schema(Schema),
    /// Show what a site may know of the host
    #[command(after_help = "Example:\n  provision facts --format json > web1.json")]
    Facts(FactsArguments),
    /// Write the state of a host down, as a fixture for tests
    #[command(subcommand)]
    #[command(after_help = "Example:\n  provision record host -o web1.host")]
    Record(RecordVerb),
    /// Begin a new site in a directory
    #[command(after_help = "Example:\n  provision init site")]
    Init(Init),
    /// Print a script that completes commands in a shell
    #[command(after_help = "Example:\n  provision completions bash > /etc/bash_completion.d/provision")]
    Completions(Completions),
}

/// A site and what is said about it.
#[derive(Args, Debug)]
pub struct SiteArguments {
    /// Files of the site (Nickel, JSON, TOML or YAML); several are merged, and `-` reads standard input
    #[arg(required = true, value_name = "SITE")]
    pub sites: Vec<PathBuf>,
    /// Set a field of the site, as in `--set resources.service.nginx.enabled=false`, or a fact, as in `--set facts.cpus=8`
    #[arg(long = "set", value_name = "PATH=VALUE")]
    pub set: Vec<String>,
    /// Take facts from this JSON file, as `provision facts --format json` prints them; for validate, graph and --simulate
    #[arg(long, value_name = "FILE")]
    pub facts: Option<PathBuf>,
    /// Also look for imports in this directory
    #[arg(short = 'I', long = "import-path", value_name = "DIR")]
    pub import_path: Vec<PathBuf>,
    /// Evaluate the site even if nothing changed that it depends on, and go through all resources
    #[arg(long)]
    pub no_cache: bool,
}

/// Where secrets are, and who opens them.
#[derive(Args, Clone, Debug)]
pub struct Secrets {
    /// Where secrets are kept; the directory `secrets` beside the site by default
    #[arg(long, value_name = "DIR")]
    pub secrets: Option<PathBuf>,
    /// Open secrets with the age identity in this file; $PROVISION_IDENTITY, /etc/provision/identity or
    /// ~/.config/provision/identity by default
    #[arg(long, value_name = "FILE")]
    pub identity: Vec<PathBuf>,
}

/// Where the secrets of `provision secret` are.
#[derive(Args, Debug)]
pub struct SecretPlace {
    /// Where secrets are.
    #[command(flatten)]
    pub secrets: Secrets,
    /// The site that the secrets lie beside
    #[arg(long, value_name = "SITE")]
    pub site: Option<PathBuf>,
}

/// `provision secret`.
#[derive(Subcommand, Debug)]
pub enum SecretVerb {
    /// Make an identity, which opens secrets, and show its recipient, to which they are encrypted
    #[command(after_help = "Example:\n  provision secret keygen -o /etc/provision/identity")]
    Keygen {
        /// Where the identity goes; standard output by default
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Encrypt standard input, or what is typed, to the recipients in `.recipients`
    #[command(after_help = "Example:\n  provision secret encrypt db/password < password")]
    Encrypt {
        /// The secret, such as `db/password`
        name: String,
        /// Encrypt this file instead
        #[arg(long, value_name = "FILE")]
        from: Option<PathBuf>,
        /// Where secrets are.
        #[command(flatten)]
        place: SecretPlace,
    },
    /// Write a secret to standard output
    #[command(after_help = "Example:\n  provision secret decrypt db/password | less")]
    Decrypt {
        /// The secret, such as `db/password`
        name: String,
        /// Even to a terminal
        #[arg(long)]
        show: bool,
        /// Where secrets are.
        #[command(flatten)]
        place: SecretPlace,
    },
    /// Change a secret in $EDITOR
    #[command(after_help = "Example:\n  provision secret edit db/password")]
    Edit {
        /// The secret, such as `db/password`
        name: String,
        /// Where secrets are.
        #[command(flatten)]
        place: SecretPlace,
    },
    /// Encrypt secrets anew, to the recipients of now
    #[command(after_help = "Example:\n  provision secret rekey")]
    Rekey {
        /// The secrets; all by default
        names: Vec<String>,
        /// Where secrets are.
        #[command(flatten)]
        place: SecretPlace,
    },
}

/// Which resources take part.
#[derive(Args, Debug)]
pub struct Chosen {
    /// Only this resource (`type:name`) or those with this tag, and what they need
    #[arg(long, value_name = "ID|TAG")]
    pub only: Vec<Selector>,
    /// Remove what was made by earlier runs and is no longer declared, if nothing else has changed it since
    #[arg(long, conflicts_with = "only")]
    pub prune: bool,
}

/// `provision validate`.
#[derive(Args, Debug)]
pub struct Validate {
    /// The site.
    #[command(flatten)]
    pub site: SiteArguments,
}

/// `provision plan`.
#[derive(Args, Debug)]
pub struct Plan {
    /// The site.
    #[command(flatten)]
    pub site: SiteArguments,
    /// Which resources take part.
    #[command(flatten)]
    pub chosen: Chosen,
    /// Where secrets are.
    #[command(flatten)]
    pub secrets: Secrets,
    /// Also save the plan in a file, which `provision apply FILE` carries out as it is, or refuses if the host has changed
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// End with exit code 2 if there is something to change
    #[arg(long)]
    pub detailed_exitcode: bool,
}

/// `provision apply`.
#[derive(Args, Debug)]
pub struct Apply {
    /// The site, or one saved plan.
    #[command(flatten)]
    pub site: SiteArguments,
    /// Carry out a saved plan although some of its resources are deferred
    #[arg(long)]
    pub allow_deferred: bool,
    /// Which resources take part.
    #[command(flatten)]
    pub chosen: Chosen,
    /// Where secrets are.
    #[command(flatten)]
    pub secrets: Secrets,
    /// How many independent resources may be worked on at the same time
    #[arg(short, long, default_value_t = 4, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub jobs: u16,
    /// How the host is worked on.
    #[command(flatten)]
    pub work: Work,
}

/// How a host is worked on.
#[derive(Args, Debug)]
pub struct Work {
    /// Show the plan and ask before anything is changed
    #[arg(long)]
    pub ask: bool,
    /// Seconds to wait for a concurrent run to end, at most a year
    #[arg(long, default_value_t = 0, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(..=31_536_000))]
    pub lock_timeout: u64,
    /// End with exit code 2 if something was changed
    #[arg(long)]
    pub detailed_exitcode: bool,
}

/// `provision test`.
#[derive(Args, Debug)]
pub struct Test {
    /// The site.
    #[command(flatten)]
    pub site: SiteArguments,
    /// Where secrets are. Those that cannot be read are made up.
    #[command(flatten)]
    pub secrets: Secrets,
    /// Only on this release of Debian; on all that were recorded by default
    #[arg(long, value_name = "NUMBER")]
    pub release: Vec<u32>,
    /// Run only checks whose name contains TEXT
    #[arg(long, value_name = "TEXT")]
    pub filter: Option<String>,
    /// Number of randomly drifted hosts
    #[arg(long, default_value_t = 2, value_name = "N")]
    pub drifted: u64,
    /// How many checks may run at the same time; as many as there are processors by default
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub jobs: Option<u16>,
    /// Also write the results as JUnit XML into a file
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,
}

/// `provision rollback`.
#[derive(Args, Debug)]
pub struct Rollback {
    /// The number of the run, as `provision history` lists it; the last one that changed something by default
    #[arg(value_name = "RUN")]
    pub run: Option<u64>,
    /// Leave alone what something else has changed since, and undo the rest
    #[arg(long)]
    pub keep_changed: bool,
    /// Only show what would be done
    #[arg(long, conflicts_with = "ask")]
    pub plan: bool,
    /// How the host is worked on.
    #[command(flatten)]
    pub work: Work,
}

/// `provision history`.
#[derive(Args, Debug)]
pub struct History {
    /// At most so many runs, the newest first
    #[arg(short = 'n', long = "lines", default_value_t = 20, value_name = "N")]
    pub lines: usize,
}

/// `provision show`.
#[derive(Args, Debug)]
pub struct Show {
    /// The number of the run, as `provision history` lists it; the last one by default
    #[arg(value_name = "RUN")]
    pub run: Option<u64>,
}

/// `provision graph`.
#[derive(Args, Debug)]
pub struct GraphArguments {
    /// The site.
    #[command(flatten)]
    pub site: SiteArguments,
    /// In which form; `--format json` wins
    #[arg(long = "as", value_enum, default_value_t = GraphForm::Text)]
    pub form: GraphForm,
}

/// How a graph is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum GraphForm {
    /// One resource a line, in order.
    Text,
    /// For Graphviz.
    Dot,
    /// For Mermaid.
    Mermaid,
}

/// `provision schema`.
#[derive(Args, Debug)]
pub struct Schema {
    /// Only these resource types
    #[arg(value_name = "TYPE")]
    pub types: Vec<String>,
    /// In which form
    #[arg(long = "as", value_enum, default_value_t = SchemaForm::Markdown)]
    pub form: SchemaForm,
}

/// How the resource types are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SchemaForm {
    /// The contract library, for editors: save it as `provision.ncl` beside a site.
    Nickel,
    /// A JSON Schema for each type.
    JsonSchema,
    /// The reference documentation.
    Markdown,
}

/// `provision facts`.
#[derive(Args, Debug)]
pub struct FactsArguments {}

/// `provision record`.
#[derive(Subcommand, Debug)]
pub enum RecordVerb {
    /// The host itself: paths, configuration, packages, accounts and units, without secrets
    #[command(after_help = "Example:\n  provision record host --without /srv/backup -o web1.host")]
    Host {
        /// Where the record goes; standard output by default
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
        /// Also leave out this path, with all beneath it
        #[arg(long, value_name = "PATH")]
        without: Vec<HostPath>,
    },
}

/// `provision init`.
#[derive(Args, Debug)]
pub struct Init {
    /// Where; it is created if it is not there
    #[arg(default_value = ".", value_name = "DIR")]
    pub directory: PathBuf,
    /// Write `provision.ncl` anew, for this version
    #[arg(long)]
    pub update: bool,
}

/// `provision completions`.
#[derive(Args, Debug)]
pub struct Completions {
    /// For which shell
    pub shell: clap_complete::Shell,
}
