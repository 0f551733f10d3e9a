//! Reads the files that a configuration names, and remembers which they were.

use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use super::diagnostic::{Place, Report};
use super::secret::{Reference, Secret};
use super::settings::SourceText;
use super::tree::Span;

/// Largest file that is read. The largest public contracts are a fifth of it.
const LARGEST: u64 = 64 << 20;

/// Where files and variables come from; tests bring their own.
pub trait Files {
    /// The file's bytes.
    ///
    /// # Errors
    /// What the system says, also for a file that is too large.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;

    /// The names in a directory.
    ///
    /// # Errors
    /// What the system says.
    fn list(&self, directory: &Path) -> io::Result<Vec<String>>;

    /// An environment variable, when it is set and is text.
    fn variable(&self, name: &str) -> Option<String>;
}

/// The machine's own files and environment.
#[derive(Debug, Clone, Copy, Default)]
pub struct Disk;

impl Files for Disk {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let about = std::fs::metadata(path)?;
        if about.is_dir() {
            return Err(io::Error::from(io::ErrorKind::IsADirectory));
        }
        if about.len() > LARGEST {
            return Err(io::Error::from(io::ErrorKind::FileTooLarge));
        }
        std::fs::read(path)
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<String>> {
        let directory = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
        let entries = std::fs::read_dir(directory)?;
        entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
    }

    fn variable(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }
}

/// What a configuration was made of: every file that was read, or should have been, and what each said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Watched {
    /// Files, and the digest of what they said; `None` where they could not be read.
    files: Vec<(PathBuf, Option<[u8; 32]>)>,
    /// Patterns: the directory they are relative to, the pattern, what matched.
    patterns: Vec<(PathBuf, String, Vec<PathBuf>)>,
}

/// Lengths, times and numbers of files, and what patterns match.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Glance {
    stamps: Vec<Option<(u64, SystemTime, u64)>>,
    matching: Vec<Vec<PathBuf>>,
}

impl Watched {
    /// Whether a file now says something else, or a pattern names other files. Reads them all.
    pub fn is_stale(&self, files: &dyn Files) -> bool {
        let is_changed =
            |(path, known): &(PathBuf, Option<[u8; 32]>)| digest(files.read(path).ok().as_deref()) != *known;
        let is_other = |(directory, pattern, known): &(PathBuf, String, Vec<PathBuf>)| {
            matches(files, directory, Path::new(pattern)) != *known
        };
        self.files.iter().any(is_changed) || self.patterns.iter().any(is_other)
    }

    /// What a glance at the files shows, without reading them. Another glance that differs is a reason to read.
    pub(super) fn glance(&self, files: &dyn Files) -> Glance {
        let stamp = |(path, _): &(PathBuf, Option<[u8; 32]>)| {
            // Through links: a ConfigMap of Kubernetes swaps a link `..data` beside the names that were read.
            let data = std::fs::metadata(path).ok()?;
            Some((data.len(), data.modified().ok()?, file_number(&data)))
        };
        let matching = |(directory, pattern, _): &(PathBuf, String, Vec<PathBuf>)| {
            matches(files, directory, Path::new(pattern))
        };
        Glance {
            stamps: self.files.iter().map(stamp).collect(),
            matching: self.patterns.iter().map(matching).collect(),
        }
    }
}

#[cfg(unix)]
fn file_number(data: &std::fs::Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::ino(data)
}

#[cfg(not(unix))]
fn file_number(_: &std::fs::Metadata) -> u64 {
    0
}

fn digest(bytes: Option<&[u8]>) -> Option<[u8; 32]> {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes?);
    digest.as_ref().try_into().ok()
}

/// Reads files relative to the configuration.
pub(crate) struct Loader<'f> {
    files: &'f dyn Files,
    directory: PathBuf,
    pub(crate) watched: Watched,
}

impl<'f> Loader<'f> {
    pub(crate) fn new(files: &'f dyn Files, configuration: &Path) -> Self {
        let directory = configuration.parent().map(Path::to_path_buf).unwrap_or_default();
        Self { files, directory, watched: Watched::default() }
    }

    pub(crate) fn path(&self, written: &str) -> PathBuf {
        self.directory.join(written)
    }

    /// Reads a text file; what goes wrong is reported at `at`, where the file is named.
    pub(crate) fn text(&mut self, written: &str, at: Span, report: &mut Report) -> Option<SourceText> {
        let path = self.path(written);
        let bytes = self.bytes(&path, at, report)?;
        let Ok(text) = String::from_utf8(bytes) else {
            report.error("unreadable-file", at, format!("`{}` is not UTF-8 text", path.display()));
            return None;
        };
        let name: Arc<str> = path.display().to_string().into();
        Some(SourceText { path, name, text: text.into(), place: report.place(at) })
    }

    /// Reads a secret file or variable. One line break at the end is not part of the secret.
    pub(crate) fn secret(&mut self, reference: &str, at: Span, report: &mut Report) -> Option<Secret> {
        let text = match Reference::parse(reference).ok()? {
            Reference::Variable(name) => match self.files.variable(name) {
                Some(text) => text,
                None => {
                    report
                        .error("missing-secret", at, format!("the environment variable `{name}` is not set"))
                        .help(format!("set it before the gate starts: `{name}=… portcullis run`"));
                    return None;
                }
            },
            Reference::File(written) => {
                let path = self.path(written);
                let bytes = self.bytes(&path, at, report)?;
                String::from_utf8(bytes).unwrap_or_default()
            }
        };
        let mut text = text;
        text.truncate(text.trim_end_matches(['\n', '\r']).len());
        if text.is_empty() {
            report.error("missing-secret", at, "the secret is empty or is not text");
            return None;
        }
        Some(Secret::new(text))
    }

    /// Reads a private key file.
    pub(crate) fn key(&mut self, written: &str, at: Span, report: &mut Report) -> Option<Secret> {
        let path = self.path(written);
        let bytes = self.bytes(&path, at, report)?;
        let Ok(text) = String::from_utf8(bytes) else {
            report.error("unreadable-file", at, format!("`{}` is not a PEM file", path.display()));
            return None;
        };
        Some(Secret::new(text))
    }

    /// The files that a pattern names, sorted. A pattern without wildcards names itself.
    pub(crate) fn expand(&mut self, pattern: &str, at: Span, report: &mut Report) -> Vec<String> {
        if !is_pattern(pattern) {
            return vec![pattern.to_owned()];
        }
        if pattern.contains("**") {
            report
                .error("bad-value", at, "`**` is not understood")
                .expected("`*` and `?`, which match within one name");
            return Vec::new();
        }
        let found = matches(self.files, &self.directory, Path::new(pattern));
        self.watched.patterns.push((self.directory.clone(), pattern.to_owned(), found.clone()));
        if found.is_empty() {
            report.warning("no-match", at, format!("no file matches `{pattern}`"));
        }
        found.into_iter().map(|path| path.to_string_lossy().into_owned()).collect()
    }

    /// Reads a file and remembers what it said.
    pub(crate) fn read(&mut self, path: &Path) -> io::Result<Vec<u8>> {
        let read = self.files.read(path);
        if !self.watched.files.iter().any(|(watched, _)| watched == path) {
            self.watched.files.push((path.to_path_buf(), digest(read.as_deref().ok())));
        }
        read
    }

    pub(crate) fn bytes(&mut self, path: &Path, at: Span, report: &mut Report) -> Option<Vec<u8>> {
        match self.read(path) {
            Ok(bytes) => Some(bytes),
            Err(error) => {
                let (path, reason) = (path.display(), reason(&error));
                report.error("unreadable-file", at, format!("`{path}` cannot be read: {reason}"));
                None
            }
        }
    }
}

/// The files under `directory` that a relative pattern names, sorted, as paths relative to `directory`.
fn matches(files: &dyn Files, directory: &Path, pattern: &Path) -> Vec<PathBuf> {
    let mut found = vec![PathBuf::new()];
    for component in pattern.components() {
        let name = component.as_os_str().to_string_lossy();
        let is_pattern = matches!(component, Component::Normal(_)) && is_pattern(&name);
        let mut next = Vec::new();
        for before in found {
            if !is_pattern {
                next.push(before.join(component));
                continue;
            }
            let names = files.list(&directory.join(&before)).unwrap_or_default();
            next.extend(names.iter().filter(|other| is_match(&name, other)).map(|other| before.join(other)));
        }
        found = next;
    }
    found.sort();
    found
}

fn is_pattern(name: &str) -> bool {
    name.contains(['*', '?'])
}

/// Whether `*` (any characters) and `?` (one) make `name`. A hidden file is only matched by a written dot.
fn is_match(pattern: &str, name: &str) -> bool {
    if name.starts_with('.') && !pattern.starts_with('.') {
        return false;
    }
    let pattern: Vec<char> = pattern.chars().collect();
    let mut reachable = vec![false; pattern.len().saturating_add(1)];
    if let Some(first) = reachable.first_mut() {
        *first = true;
    }
    skip_stars(&pattern, &mut reachable);
    for letter in name.chars() {
        let mut next = vec![false; reachable.len()];
        for (index, token) in pattern.iter().enumerate() {
            if !reachable.get(index).copied().unwrap_or(false) {
                continue;
            }
            let to = if *token == '*' { index } else { index.saturating_add(1) };
            if *token == '*' || *token == '?' || *token == letter {
                next.iter_mut().skip(to).take(1).for_each(|reached| *reached = true);
            }
        }
        skip_stars(&pattern, &mut next);
        reachable = next;
    }
    reachable.last().copied().unwrap_or(false)
}

/// A star may also match nothing.
fn skip_stars(pattern: &[char], reachable: &mut [bool]) {
    for (index, token) in pattern.iter().enumerate() {
        if *token == '*' && reachable.get(index).copied().unwrap_or(false) {
            reachable.iter_mut().skip(index.saturating_add(1)).take(1).for_each(|reached| *reached = true);
        }
    }
}

/// The system's words without its error numbers, which differ between systems.
pub(crate) fn reason(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::NotFound => "there is no such file",
        io::ErrorKind::PermissionDenied => "permission denied",
        io::ErrorKind::IsADirectory => "it is a directory",
        io::ErrorKind::FileTooLarge => "it is too large",
        _ => "the system refused",
    }
}

/// A place for what is said about a whole file.
pub(crate) fn whole(name: &str) -> Place {
    Place { file: name.into(), ..Place::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_within_a_name() {
        let check =
            |pattern, name, expected| assert_eq!(is_match(pattern, name), expected, "{pattern} {name}");
        check("*.cedar", "orders.cedar", true);
        check("*.cedar", ".hidden.cedar", false);
        check("*.cedar", "orders.cedar~", false);
        check("o*s.*", "orders.cedar", true);
        check("?.cedar", "a.cedar", true);
        check("?.cedar", "ab.cedar", false);
        check("*", "", true);
        check("**a", "ba", true);
    }
}
