//! `provision secret`: secrets beside a site, encrypted to the hosts that need them.

use std::io::{IsTerminal, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use provision_core::effect::Sensitive;
use provision_core::error::{Error, ErrorKind, ResultExt};
use provision_core::secret::SecretStore;
use provision_core::secret::age::{AgeSecrets, KeyPair};
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};

use crate::cli::{SecretPlace, SecretVerb};
use crate::exit::{Exit, Failure};
use crate::output;
use crate::secrets;

/// Works on secrets.
pub fn run(verb: &SecretVerb) -> Result<Exit, Failure> {
    secrets::keep_out_of_core_dumps();
    match verb {
        SecretVerb::Keygen { output } => keygen(output.as_deref())?,
        SecretVerb::Encrypt { name, from, place } => {
            let secret = match from {
                Some(file) => read_file(file)?,
                None => read_input(name)?,
            };
            store_of(place).write(name, &not_empty(name, secret)?)?;
        }
        SecretVerb::Decrypt { name, show, place } => {
            let secret = store_of(place).read(name)?;
            let mut out = output::raw();
            if out.is_terminal() && !show {
                return Err(Failure::Usage("a secret is not written to a terminal unless --show is given".into()));
            }
            out.write_all(secret.reveal().as_bytes())?;
        }
        SecretVerb::Edit { name, place } => {
            let store = store_of(place);
            let before = match store.read(name) {
                Ok(secret) => secret,
                Err(error) if error.kind() == ErrorKind::NotFound && !names_file(&error) => Sensitive::new(""),
                Err(error) => return Err(error.into()),
            };
            let after = edit(name, &before)?;
            if after == before {
                writeln!(output::stdout(), "{name} is unchanged.")?;
            } else {
                store.write(name, &not_empty(name, after)?)?;
            }
        }
        SecretVerb::Rekey { names, place } => {
            let mut out = output::raw();
            for name in store_of(place).rekey(names)? {
                writeln!(out, "{name}")?;
            }
        }
    }
    Ok(Exit::Success)
}

fn store_of(place: &SecretPlace) -> AgeSecrets {
    secrets::store(&place.secrets, place.site.as_deref())
}

/// Whether what is missing is not the secret itself, but an identity.
fn names_file(error: &Error) -> bool {
    error.operation().is_some()
}

fn keygen(output: Option<&Path>) -> Result<(), Failure> {
    let pair = KeyPair::generate();
    let Some(path) = output else {
        output::raw().write_all(pair.identity.reveal().as_bytes())?;
        return Ok(());
    };
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    #[expect(clippy::disallowed_methods, reason = "an identity belongs to the machine that this runs on")]
    std::fs::create_dir_all(directory).while_doing(|| format!("making {}", directory.display()))?;
    // Only its owner may read it, from the first instant on.
    let written = tempfile::Builder::new()
        .permissions(std::fs::Permissions::from_mode(0o600))
        .tempfile_in(directory)
        .and_then(|mut staged| {
            staged.write_all(pair.identity.reveal().as_bytes())?;
            staged.as_file().sync_all()?;
            staged.persist_noclobber(path).map_err(|error| error.error)
        });
    match written {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            return Err(Error::new(ErrorKind::Refused, format!("{} exists already", path.display()))
                .with_hint("what was encrypted to it would be lost; choose another file")
                .into());
        }
        written => drop(written.while_doing(|| format!("writing {}", path.display()))?),
    }
    writeln!(output::raw(), "{}", pair.recipient)?;
    Ok(())
}

fn not_empty(name: &str, secret: Sensitive) -> Result<Sensitive, Failure> {
    if secret.reveal().is_empty() {
        let error = Error::new(ErrorKind::Invalid, format!("nothing was given for the secret `{name}`"));
        return Err(error.with_hint("write it to standard input, or name a file with --from").into());
    }
    Ok(secret)
}

fn read_file(file: &Path) -> Result<Sensitive, Failure> {
    #[expect(clippy::disallowed_methods, reason = "the file lies beside the site, not on the host")]
    let text = std::fs::read_to_string(file).while_doing(|| format!("reading {}", file.display()))?;
    Ok(Sensitive::new(text))
}

/// What is typed, without showing it, or standard input to its end.
fn read_input(name: &str) -> Result<Sensitive, Failure> {
    if std::io::stdin().is_terminal() {
        return Ok(Sensitive::new(rpassword::prompt_password(format!("{name}: "))?));
    }
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text).while_doing(|| "reading the secret from standard input")?;
    Ok(Sensitive::new(text))
}

/// Lets the user change a text in an editor. The file lies in memory, and only its owner may read it.
fn edit(name: &str, before: &Sensitive) -> Result<Sensitive, Failure> {
    let memory =
        [variable("XDG_RUNTIME_DIR"), Some("/dev/shm".into())].into_iter().flatten().find(|path| path.is_dir());
    let directory = match memory {
        Some(memory) => tempfile::Builder::new().prefix("provision-").tempdir_in(memory),
        None => tempfile::tempdir(),
    }
    .while_doing(|| "making a place to edit the secret in")?;
    let path = directory.path().join(name.replace('/', "-"));
    let mut staged = tempfile::Builder::new()
        .permissions(std::fs::Permissions::from_mode(0o600))
        .tempfile_in(directory.path())
        .while_doing(|| "making a file to edit")?;
    staged.write_all(before.reveal().as_bytes())?;
    staged.persist(&path).map_err(|error| Error::io(&error.error))?;
    let editor = variable("VISUAL").or_else(|| variable("EDITOR")).unwrap_or_else(|| "editor".into());
    // Ctrl-C is for the editor: this program has to wipe the file afterwards.
    let ignored = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGQUIT, SIGTERM, SIGHUP] {
        signal_hook::flag::register(signal, Arc::clone(&ignored)).while_doing(|| "getting ready for Ctrl-C")?;
    }
    #[expect(clippy::disallowed_methods, reason = "an editor is started for the person at the terminal")]
    let status = std::process::Command::new("sh")
        .args(["-c", "exec $0 \"$1\""])
        .arg(&editor)
        .arg(&path)
        .status()
        .while_doing(|| format!("starting {}", editor.display()))?;
    let after = read_file(&path);
    wipe(&path);
    if !status.success() {
        let message = format!("{} ended with {status}, so the secret `{name}` stays as it was", editor.display());
        return Err(Error::new(ErrorKind::CommandFailed, message).into());
    }
    after
}

/// Overwrites a file, as far as the file system does that in place.
fn wipe(path: &Path) {
    #[expect(clippy::disallowed_methods, reason = "the file was made for an editor")]
    let length = std::fs::metadata(path).map_or(0, |found| found.len());
    #[expect(clippy::disallowed_types, reason = "the file was made for an editor")]
    if let Ok(mut file) = std::fs::File::options().write(true).open(path) {
        let _ = std::io::copy(&mut std::io::repeat(0).take(length), &mut file);
    }
}

fn variable(name: &str) -> Option<PathBuf> {
    #[expect(clippy::disallowed_methods, reason = "the command line looks at its environment")]
    std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}
