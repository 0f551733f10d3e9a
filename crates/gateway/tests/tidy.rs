//! What the compiler cannot say about this repository: sizes, edges, links, and pages that are lists of the code.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by a panic")]

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use portcullis_core::halt::Reason;
use portcullis_inspect::detect::Detector;

const CRATES: [&str; 5] = ["core", "inspect", "gateway", "prove", "portcullis"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every file below `folder` whose name ends with `end`.
fn files(folder: &Path, end: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if path.to_string_lossy().ends_with(end) {
                found.push(path);
            }
        }
    }
    found
}

/// The names that a manifest's `table` begins its lines with.
fn names(manifest: &str, table: &str) -> BTreeSet<String> {
    let lines = manifest.lines().skip_while(|line| line.trim() != table).skip(1);
    let lines = lines.take_while(|line| !line.starts_with('['));
    lines
        .filter_map(|line| line.split(['.', ' ', '=']).next())
        .filter(|n| !n.is_empty())
        .map(Into::into)
        .collect()
}

#[test]
fn no_file_holds_more_than_one_idea() {
    for krate in CRATES {
        for file in files(&root().join("crates").join(krate).join("src"), ".rs") {
            let name = file.to_string_lossy();
            if name.ends_with("tests.rs") || name.contains("/tests/") {
                continue;
            }
            let lines = std::fs::read_to_string(&file).unwrap().lines().count();
            assert!(lines <= 800, "{name} has {lines} lines: split it");
        }
    }
}

#[test]
fn crates_link_what_they_may() {
    let io =
        ["tokio", "tokio-util", "hyper", "hyper-util", "rustls", "tokio-rustls", "notify", "axum", "socket2"];
    let ours = ["portcullis-inspect", "portcullis-gateway", "portcullis"];
    // Proofs start a process and are a command's: nothing that serves may name them.
    for krate in ["core", "inspect", "gateway"] {
        let linked = names(&read(format!("crates/{krate}/Cargo.toml")), "[dependencies]");
        assert!(!linked.contains("portcullis-prove") && !linked.contains("cedar-policy-symcc"), "{krate}");
    }
    for (krate, above) in [("core", &ours[..]), ("inspect", &ours[1..]), ("gateway", &ours[2..])] {
        let linked = names(&read(format!("crates/{krate}/Cargo.toml")), "[dependencies]");
        let none = if krate == "gateway" { &[][..] } else { &io[..] };
        for name in none.iter().chain(above) {
            assert!(!linked.contains(*name), "{krate} must not name {name}");
        }
    }
}

#[test]
fn every_dependency_is_used_and_has_its_reason() {
    let deny = read("deny.toml");
    let mut reasons: BTreeSet<String> = BTreeSet::new();
    for line in deny.lines().filter_map(|line| line.strip_prefix("# ")) {
        if let Some((list, _)) = line.split_once(": ") {
            reasons.extend(list.split(", ").map(str::to_owned));
        }
    }
    let mut used = BTreeSet::new();
    for manifest in CRATES.map(|krate| format!("crates/{krate}/Cargo.toml")) {
        used.extend(names(&read(&manifest), "[dependencies]"));
        used.extend(names(&read(&manifest), "[dev-dependencies]"));
    }
    for name in names(&read("Cargo.toml"), "[workspace.dependencies]") {
        assert!(used.contains(&name) || name.starts_with("portcullis"), "nothing uses {name}");
        assert!(
            reasons.contains(&name) || name.starts_with("portcullis"),
            "deny.toml has no reason for {name}"
        );
    }
}

#[test]
fn what_documents_link_exists() {
    let mut pages = files(&root().join("docs"), ".md");
    for name in ["README", "ARCHITECTURE", "CONTRIBUTING", "SECURITY", "STYLE", "CHANGELOG"] {
        pages.push(root().join(name).with_extension("md"));
    }
    let mut links = 0;
    for page in pages {
        let text = std::fs::read_to_string(&page).unwrap();
        let here = page.parent().unwrap();
        let targets = text.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next());
        for target in targets.filter(|target| !target.is_empty() && !target.contains("://")) {
            links += 1;
            assert!(here.join(target).exists(), "{} links {target}", page.display());
        }
        // Paths that are only named, as `crates/…`, `docs/…`, are links to a reader as well.
        for quoted in text.split('`').skip(1).step_by(2) {
            let is_path =
                ["crates/", "docs/", "examples/", ".ci/"].iter().any(|start| quoted.starts_with(start));
            if is_path && !quoted.contains(['*', ' ', '<', '…']) {
                links += 1;
                assert!(root().join(quoted).exists(), "{} names {quoted}", page.display());
            }
        }
    }
    assert!(links > 10, "links are no longer found: {links}");
}

#[test]
fn the_page_of_refusals_is_the_table() {
    let text = refusals();
    let file = root().join("docs/refusals.md");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&file, &text).unwrap();
    }
    let committed = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(committed == text, "docs/refusals.md is not what the code says: run the test with UPDATE=1");
}

/// `docs/refusals.md`.
fn refusals() -> String {
    let mut text = String::from(
        "# Refusals\n\n\
         <!-- Generated from `Reason` and `Detector`; `UPDATE=1 cargo test -p portcullis-gateway --test tidy` writes it again. -->\n\n\
         What a client is told when a request goes no further. REST routes answer with `application/problem+json` (RFC 9457),\n\
         whose `code` is stable; model routes answer in the dialect of the model's API, with the same code. `instance` and\n\
         `x-request-id` name the record, which says the rest. Some codes stand for several causes that a client may not tell apart.\n\n\
         | status | code | decided by | whose fault | what the client reads |\n|---|---|---|---|---|\n",
    );
    let mut rows: Vec<String> = Vec::new();
    for reason in Reason::ALL {
        let (phase, source) = (format!("{:?}", reason.phase()), format!("{:?}", reason.source()));
        let row = format!(
            "| {} | `{}` | {} | {} | {} |",
            reason.status().as_u16(),
            reason.code(),
            phase.to_lowercase(),
            source.to_lowercase(),
            reason.title()
        );
        if !rows.contains(&row) {
            rows.push(row);
        }
    }
    text.push_str(&rows.join("\n"));
    text.push_str(
        "\n\n## What detectors look for\n\n\
         `content_blocked` and `answer_blocked` come from one of these, where the configuration says `block`. Where it says\n\
         `redact`, the placeholder stands in place of what was found. The record names the detector and the place, with\n\
         the text masked.\n\n\
         | detector | switched by | severity | placeholder |\n|---|---|---|---|\n",
    );
    for detector in Detector::ALL {
        let group = format!("{:?}", detector.group());
        let severity = format!("{:?}", detector.severity()).to_lowercase();
        let (id, place) = (detector.id(), detector.placeholder());
        writeln!(text, "| `{id}` | `{}` | {severity} | `{place}` |", snake(&group)).unwrap();
    }
    text
}

/// `ActiveContent` as `active_content`.
fn snake(name: &str) -> String {
    let mut out = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() && !out.is_empty() {
            out.push('_');
        }
        out.extend(letter.to_lowercase());
    }
    out
}
