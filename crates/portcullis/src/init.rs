//! `portcullis init`.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::path::Path;

use anyhow::{Context, bail};
use portcullis_gateway::config::init::{Wanted, starter};
use portcullis_gateway::config::{Disk, Format};

/// Writes a configuration that runs and denies; false when the document cannot be used.
pub(crate) fn init(
    contract: &Path,
    upstream: &str,
    issuer: Option<&str>,
    audience: Option<&str>,
    directory: &Path,
) -> anyhow::Result<bool> {
    // The configuration names the contract from where it lies itself.
    let contract = if directory == Path::new(".") {
        contract.to_owned()
    } else {
        std::path::absolute(contract).context("the contract has no absolute path")?
    };
    let contract = contract.to_str().context("the contract's path is not text")?;
    let wanted = Wanted { contract, upstream, issuer, audience };
    let starter = match starter(directory, &wanted, &Disk) {
        Ok(starter) => starter,
        Err(diagnostics) => {
            anstream::eprint!("{}", diagnostics.render(Format::Text { colours: false }));
            return Ok(false);
        }
    };
    if let Some((path, _)) = starter.files.iter().find(|(path, _)| directory.join(path).exists()) {
        bail!("{} exists and is not overwritten; name another place with --directory", path.display());
    }
    for (path, text) in &starter.files {
        let path = directory.join(path);
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        }
        // The existence was looked at above; `create_new` holds it against whoever came between.
        let created = OpenOptions::new().write(true).create_new(true).open(&path);
        let mut file = match created {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => bail!("{} exists", path.display()),
            other => other.with_context(|| format!("cannot write {}", path.display()))?,
        };
        file.write_all(text.as_bytes()).with_context(|| format!("cannot write {}", path.display()))?;
        anstream::println!("wrote {}", path.display());
    }
    for line in &starter.todo {
        anstream::println!("to do: {line}");
    }
    Ok(true)
}
