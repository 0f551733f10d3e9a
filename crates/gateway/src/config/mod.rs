//! The configuration: from a YAML file to plain, checked [`Settings`], with every mistake found in one run.
//!
//! 1. `tree`: the text becomes a tree that knows its places.
//! 2. `shape`: the tree is held against the schema of the types in `file`; what is wrong is reported and left out.
//! 3. `file`: what is left is read into the types that mirror the document.
//! 4. `check`: files are read, names looked up, defaults filled in: [`Settings`].
//!
//! The same types make the JSON Schema ([`schema`]) and the reference ([`reference()`]). [`watch`] says when to load
//! again, [`init`] writes a first configuration.

mod check;
mod contract;
mod diagnostic;
mod fields;
mod file;
mod identifiers;
mod later;
mod mask;
mod read;
mod render;
mod roles_file;
mod schema;
mod secret;
mod shape;
mod source;
mod sql;
mod tree;
mod units;

pub mod init;
pub mod roles;
pub mod watch;

use std::path::Path;

use serde::Deserialize;

pub use contract::Contract;
pub use diagnostic::{Diagnostic, Diagnostics, Place, Severity};
pub(crate) use identifiers::{Taken, Takes, names_object};
pub use render::Format;
pub use schema::{reference, schema};
pub use secret::Secret;
pub use settings::Settings;
pub use source::{Disk, Files, Watched};
pub use tree::Span;
pub use units::Rate;

/// The configuration, checked and resolved.
pub mod settings;

/// What came of loading a configuration.
#[derive(Debug)]
pub struct Loaded {
    /// The settings; `None` when there is an error among the diagnostics.
    pub settings: Option<Settings>,
    /// Everything that is wrong, errors and warnings.
    pub diagnostics: Diagnostics,
    /// What to watch for changes, also when there were errors.
    pub watched: Watched,
}

/// Loads a configuration and every file that it names. Never fails: what is wrong is in the diagnostics.
pub fn load(path: &Path, files: &dyn Files) -> Loaded {
    let name = path.display().to_string();
    let mut loader = source::Loader::new(files, path);
    let mut report;
    let mut settings = None;
    match loader.read(path).map(String::from_utf8) {
        Ok(Ok(text)) => {
            report = diagnostic::Report::new(&name, &text);
            settings = resolve(&text, &mut report, &mut loader);
        }
        Ok(Err(_)) => {
            report = diagnostic::Report::new(&name, "");
            report.add(source::whole(&name).error("unreadable-file", "the file is not UTF-8 text"));
        }
        Err(error) => {
            report = diagnostic::Report::new(&name, "");
            let message = format!("the configuration cannot be read: {}", source::reason(&error));
            report
                .add(source::whole(&name).error("unreadable-file", message))
                .help("`portcullis init` writes a first one; `-c` names another");
        }
    }
    let settings = settings.filter(|_| !report.has_errors());
    Loaded { settings, diagnostics: report.finish(), watched: loader.watched }
}

fn resolve(text: &str, report: &mut diagnostic::Report, loader: &mut source::Loader<'_>) -> Option<Settings> {
    let tree = match tree::parse(text) {
        Ok(tree) => tree,
        Err(error) => {
            // The library may quote what it could not read.
            let message =
                if report.is_masked(error.at, text) { "this cannot be read" } else { &error.message };
            report.error("bad-yaml", error.at, message);
            return None;
        }
    };
    let tree = shape::conform(tree, report)?;
    match file::File::deserialize(&tree) {
        Ok(file) => {
            check::Checker { report, loader, postgres: Default::default(), judges: Vec::new() }.settings(file)
        }
        Err(error) => {
            report.error("internal", tree.at, format!("the file could not be read: {error}"));
            None
        }
    }
}

#[cfg(test)]
mod tests;
