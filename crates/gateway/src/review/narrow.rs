//! A roles file with no more in it than what was used: edited where it is simple enough, else written anew. Either way
//! it is read again and must say what was meant, before anybody sees it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use portcullis_core::policy::{Source, spoken_roles};
use portcullis_core::roles::{self, Book, Grant, Holder, Known, Mark, Role, Sign};
use smol_str::SmolStr;

use super::{End, GrantUse};
use crate::config::roles::read;
use crate::config::settings::{Roles, SourceText};
use crate::explain::Desk;

/// More rounds than there are consequences of leaving something out.
const ROUNDS: usize = 100;

/// A narrower roles file.
#[derive(Debug)]
pub struct Narrowed {
    /// Its text.
    pub text: String,
}

/// Leaves out what was not used. The text is that of the file where everything was.
pub(super) fn narrow(desk: &Desk, file: &Roles, grants: &[GrantUse]) -> Narrowed {
    let same = || Narrowed { text: file.file.text.to_string() };
    let book = narrowed(desk, &file.book, grants);
    if plain(&book) == plain(&file.book) || book.roles.is_empty() {
        return same();
    }
    let edited = Edit::of(file, &book).map(|edit| edit.text()).filter(|text| says(text, &book));
    let text = edited.unwrap_or_else(|| written(&book));
    if says(&text, &book) { Narrowed { text } } else { same() }
}

/// Whether a text is a roles file that says just this.
fn says(text: &str, book: &Book) -> bool {
    let file = SourceText {
        path: "".into(),
        name: "".into(),
        text: text.into(),
        place: crate::config::Place::default(),
    };
    read(file).is_ok_and(|roles| plain(&roles.book) == plain(book))
}

/// The book without its places.
fn plain(book: &Book) -> Book {
    marked(book, |_| Mark::default())
}

fn marked(book: &Book, mut mark: impl FnMut(Mark) -> Mark) -> Book {
    let mut book = book.clone();
    for role in &mut book.roles {
        role.mark = mark(role.mark);
        role.holders.iter_mut().for_each(|holder| holder.mark = mark(holder.mark));
        role.includes.iter_mut().for_each(|(_, at)| *at = mark(*at));
        for grant in &mut role.grants {
            grant.mark = mark(grant.mark);
            if let Some((_, at)) = &mut grant.when {
                *at = mark(*at);
            }
        }
    }
    book
}

fn narrowed(desk: &Desk, book: &Book, grants: &[GrantUse]) -> Book {
    let mut uses = grants.iter();
    let roles = book.roles.iter().map(|role| {
        let kept =
            role.grants.iter().zip(uses.by_ref()).flat_map(|(grant, used)| used_part(desk, grant, used));
        Role { grants: kept.collect(), ..role.clone() }
    });
    let mut next = 0_u32;
    let mut book = marked(&Book { roles: roles.collect() }, |_| {
        next = next.saturating_add(1);
        Mark(next)
    });
    let policies = &desk.settings.policies;
    let sources: Vec<Source> = policies
        .iter()
        .map(|file| Source { name: file.name.to_string(), text: file.text.to_string() })
        .collect();
    let (issuers, spoken_of) = (desk.issuers(), spoken_roles(&sources));
    let known = Known { actions: desk.policy().specs(), issuers: &issuers, spoken_of: &spoken_of };
    // What is left may make other rules do nothing, which is wrong as well.
    for _ in 0..ROUNDS {
        let problems = roles::check(&book, known);
        let Some(problem) = problems.first() else { break };
        leave_out(&mut book, problem.mark);
    }
    book
}

/// Nothing of a grant that was not used or has ended; of a group, the operations that were.
fn used_part(desk: &Desk, grant: &Grant, used: &GrantUse) -> Vec<Grant> {
    if used.used == 0 || used.end == Some(End::Ended) {
        return Vec::new();
    }
    if used.unused_operations.is_empty() {
        return vec![grant.clone()];
    }
    let covered = desk.policy().specs().iter().filter(|action| grant.covers(action));
    let names = covered.map(|action| action.name()).filter(|name| !used.unused_operations.contains(name));
    names.map(|action| Grant { action, ..grant.clone() }).collect()
}

/// Leaves out whatever has this mark: a role, a holder, an inclusion or a grant.
fn leave_out(book: &mut Book, mark: Mark) {
    let gone: Vec<SmolStr> =
        book.roles.iter().filter(|role| role.mark == mark).map(|role| role.name.clone()).collect();
    book.roles.retain(|role| role.mark != mark);
    for role in &mut book.roles {
        role.holders.retain(|holder| holder.mark != mark);
        role.includes.retain(|(name, at)| *at != mark && !gone.contains(name));
        role.grants.retain(|grant| grant.mark != mark);
    }
}

/// The lines of a file while they are edited, from the end to the beginning.
struct Edit {
    lines: Vec<Option<String>>,
}

impl Edit {
    /// `None` where the file is written in a way that is not understood here.
    fn of(file: &Roles, book: &Book) -> Option<Self> {
        let mut edit = Self { lines: file.file.text.lines().map(|line| Some(line.to_owned())).collect() };
        // By line and column, the last one first, so that what is before stays where it is.
        let mut changes: BTreeMap<(u32, u32), (u32, Change)> = BTreeMap::new();
        let mut add = |mark: Mark, change: Change| {
            let at = file.place(mark).at;
            changes.insert((at.line, at.column), (at.length, change));
        };
        for role in &file.book.roles {
            let Some(new) = book.role(&role.name) else {
                add(role.mark, Change::RemoveRole);
                continue;
            };
            for (name, mark) in &role.includes {
                if !new.includes.iter().any(|(kept, _)| kept == name) {
                    add(*mark, Change::Replace(Vec::new()));
                }
            }
            let mut left: Vec<&Grant> = new.grants.iter().collect();
            for grant in &role.grants {
                let parts = parts_of(grant, &mut left);
                if parts.as_slice() != std::slice::from_ref(&grant.action) {
                    add(grant.mark, Change::Replace(parts));
                }
            }
        }
        for ((line, column), (length, change)) in changes.into_iter().rev() {
            edit.apply(line, column, length, &change)?;
        }
        edit.remove_empty_lists();
        Some(edit)
    }

    fn text(self) -> String {
        self.lines.into_iter().flatten().map(|line| line + "\n").collect()
    }

    fn line(&self, number: usize) -> Option<&str> {
        self.lines.get(number)?.as_deref()
    }

    fn apply(&mut self, line: u32, column: u32, length: u32, change: &Change) -> Option<()> {
        let number = usize::try_from(line).ok()?.checked_sub(1)?;
        let text: Vec<char> = self.line(number)?.chars().collect();
        let begin = usize::try_from(column).ok()?.checked_sub(1)?;
        let end = begin.checked_add(usize::try_from(length).ok()?)?;
        let before: String = text.get(..begin)?.iter().collect();
        let after: String = text.get(end..)?.iter().collect();
        match change {
            Change::RemoveRole => {
                before.trim().is_empty().then_some(())?;
                self.remove_block(number)
            }
            Change::Replace(parts) => self.replace(number, &before, &after, parts),
        }
    }

    fn replace(&mut self, number: usize, before: &str, after: &str, parts: &[SmolStr]) -> Option<()> {
        let quoted: Vec<String> = parts.iter().map(|part| scalar(part)).collect();
        let head = before.trim_start();
        let in_list = before.matches('[').count() > before.matches(']').count();
        if in_list {
            let line = if quoted.is_empty() {
                let (before, after) = without_comma(before, after);
                format!("{before}{after}")
            } else {
                format!("{before}{}{after}", quoted.join(", "))
            };
            if line.contains("[]") {
                return self.remove_item(number, &line);
            }
            return self.set(number, line);
        }
        if head.trim_end() == "-" {
            let lines = quoted.iter().enumerate().map(|(index, part)| {
                if index == 0 { format!("{before}{part}{after}") } else { format!("{before}{part}") }
            });
            let lines: Vec<String> = lines.collect();
            return if lines.is_empty() {
                self.remove_block(number)
            } else {
                self.set(number, lines.join("\n"))
            };
        }
        let key = head.trim_end();
        if !key.ends_with("action:") && !key.ends_with("may:") && !key.ends_with("includes:") {
            return None;
        }
        match quoted.as_slice() {
            [] => self.remove_item(number, &format!("{before}[]{after}")),
            [only] => self.set(number, format!("{before}{only}{after}")),
            several => self.set(number, format!("{before}[{}]{after}", several.join(", "))),
        }
    }

    /// Removes the grant, or the key, whose list became empty.
    fn remove_item(&mut self, number: usize, line: &str) -> Option<()> {
        let text = line.trim();
        let is_whole = ["may: []", "includes: []"].iter().any(|key| text.starts_with(key));
        let is_item = text.starts_with("- action: []");
        let is_flow = text.starts_with("- {") && text.contains("action: []") && text.contains('}');
        (is_whole || is_item || is_flow).then_some(())?;
        self.remove_block(number)
    }

    fn set(&mut self, number: usize, line: String) -> Option<()> {
        *self.lines.get_mut(number)? = Some(line);
        Some(())
    }

    /// Removes a line, what is indented below it, and the comment that stands right above it.
    fn remove_block(&mut self, number: usize) -> Option<()> {
        let indent = indent(self.line(number)?);
        let mut end = number.checked_add(1)?;
        let mut next = end;
        while let Some(line) = self.lines.get(next) {
            let text = line.as_deref().unwrap_or_default();
            if !text.trim().is_empty() {
                if self::indent(text) <= indent {
                    break;
                }
                end = next.checked_add(1)?;
            }
            next = next.checked_add(1)?;
        }
        let is_comment = |line: &str| line.trim_start().starts_with('#') && self::indent(line) == indent;
        let mut begin = number;
        while let Some(above) = begin.checked_sub(1).filter(|above| self.line(*above).is_some_and(is_comment))
        {
            begin = above;
        }
        // One of the blank lines around the block goes with it.
        let is_blank = |at: usize| self.line(at).is_some_and(|line| line.trim().is_empty());
        match begin.checked_sub(1).filter(|above| is_blank(*above)) {
            Some(above) => begin = above,
            None if is_blank(end) => end = end.checked_add(1)?,
            None => {}
        }
        self.lines.get_mut(begin..end)?.iter_mut().for_each(|line| *line = None);
        Some(())
    }

    /// A key whose list has no entry any more would have no value.
    fn remove_empty_lists(&mut self) {
        for number in 0..self.lines.len() {
            let Some(line) = self.line(number) else { continue };
            if !matches!(line.trim(), "may:" | "includes:") {
                continue;
            }
            let own = indent(line);
            let mut below = self.lines.iter().skip(number.saturating_add(1)).flatten();
            let first = below.find(|line| !line.trim().is_empty() && !line.trim_start().starts_with('#'));
            let has_entry =
                first.is_some_and(|line| line.trim_start().starts_with('-') && indent(line) >= own);
            if !has_entry && let Some(line) = self.lines.get_mut(number) {
                *line = None;
            }
        }
    }
}

enum Change {
    RemoveRole,
    /// What stands there then; nothing to leave it out.
    Replace(Vec<SmolStr>),
}

/// The actions that are left of a grant, taken off the front of what is left of its role.
fn parts_of(grant: &Grant, left: &mut Vec<&Grant>) -> Vec<SmolStr> {
    let is_part = |one: &Grant| {
        let as_it = Grant { action: grant.action.clone(), mark: grant.mark, ..one.clone() };
        let text = |grant: &Grant| grant.when.as_ref().map(|(text, _)| text.clone());
        let is_same = as_it.from == grant.from
            && as_it.until == grant.until
            && as_it.reason == grant.reason
            && as_it.by == grant.by;
        let is_within = one.action == grant.action
            || grant.action == roles::EVERYTHING
            || one.action.starts_with(grant.action.as_str())
            || grant
                .action
                .rsplit_once('.')
                .is_some_and(|(api, group)| matches!(group, "read" | "write") && one.action.starts_with(api));
        is_same && text(one) == text(grant) && is_within
    };
    let count = left.iter().take_while(|one| is_part(one)).count();
    // Grants that say the same of single operations are each their own part.
    let exact = left.first().is_some_and(|one| one.action == grant.action);
    let count = if exact { count.min(1) } else { count };
    left.drain(..count).map(|one| one.action.clone()).collect()
}

/// A list without the entry that stood between the two: one of the commas beside it goes as well.
fn without_comma(before: &str, after: &str) -> (String, String) {
    if let Some(rest) = after.trim_start().strip_prefix(',') {
        return (before.to_owned(), rest.trim_start().to_owned());
    }
    let trimmed = before.trim_end();
    let before = trimmed.strip_suffix(',').unwrap_or(trimmed);
    (before.to_owned(), after.trim_start().to_owned())
}

fn indent(line: &str) -> usize {
    line.chars().take_while(|letter| *letter == ' ').count()
}

/// A text as YAML takes it: as it is where it cannot be read otherwise, else as JSON.
fn scalar(text: &str) -> String {
    let is_plain = text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
        && !["true", "false", "null", "yes", "no", "on", "off"].contains(&text.to_ascii_lowercase().as_str());
    if is_plain { text.to_owned() } else { serde_json::Value::from(text).to_string() }
}

/// A book as a roles file, without the comments that it had.
fn written(book: &Book) -> String {
    let mut out = String::from("version: 1\n\nroles:\n");
    let mut separator = "";
    // A String takes whatever is written to it: there is no error to look at, here and below.
    for role in &book.roles {
        let _ = writeln!(out, "{separator}  {}:", role.name);
        separator = "\n";
        if let Some(reason) = &role.reason {
            let _ = writeln!(out, "    reason: {}", scalar(reason));
        }
        if let Some(by) = &role.by {
            let _ = writeln!(out, "    by: {}", scalar(by));
        }
        if !role.holders.is_empty() {
            out.push_str("    held_by:\n");
            role.holders.iter().for_each(|one| out.push_str(&format!("      - {}\n", holder(one))));
        }
        if !role.includes.is_empty() {
            let names: Vec<&str> = role.includes.iter().map(|(name, _)| name.as_str()).collect();
            let _ = writeln!(out, "    includes: [{}]", names.join(", "));
        }
        if !role.grants.is_empty() {
            out.push_str("    may:\n");
            role.grants.iter().for_each(|one| out.push_str(&grant(one)));
        }
    }
    out
}

fn holder(holder: &Holder) -> String {
    let sign = match &holder.sign {
        Sign::Anonymous => return "anonymous".to_owned(),
        Sign::Group(name) => format!("group: {}", scalar(name)),
        Sign::Scope(name) => format!("scope: {}", scalar(name)),
        Sign::Subject(name) => format!("subject: {}", scalar(name)),
        Sign::Claim(path, value) => {
            format!("claim: {}, value: {}", scalar(path), serde_json::Value::from(value.as_str()))
        }
    };
    match &holder.issuer {
        Some(issuer) => format!("{{ issuer: {issuer}, {sign} }}"),
        None => format!("{{ {sign} }}"),
    }
}

fn grant(grant: &Grant) -> String {
    if grant.is_plain() && grant.reason.is_none() && grant.by.is_none() {
        return format!("      - {}\n", scalar(&grant.action));
    }
    let mut out = format!("      - action: {}\n", scalar(&grant.action));
    let networks: BTreeSet<String> = grant.from.iter().map(|network| format!("\"{network}\"")).collect();
    if !networks.is_empty() {
        let networks: Vec<String> = grant.from.iter().map(|network| format!("\"{network}\"")).collect();
        let _ = writeln!(out, "        from: [{}]", networks.join(", "));
    }
    if let Some((when, _)) = &grant.when {
        let _ = writeln!(out, "        when: {}", serde_json::Value::from(when.as_str()));
    }
    if let Some(until) = grant.until {
        let _ = writeln!(out, "        until: \"{}\"", super::moment(until));
    }
    if let Some(reason) = &grant.reason {
        let _ = writeln!(out, "        reason: {}", scalar(reason));
    }
    if let Some(by) = &grant.by {
        let _ = writeln!(out, "        by: {}", scalar(by));
    }
    out
}
