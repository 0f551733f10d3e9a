//! From what an operator wrote about texts to the screens that they pass.

use portcullis_core::record::Action;
use portcullis_inspect::content::{Content, Kind, Languages, Phrase, Rule, Shape, Topic};
use portcullis_inspect::detect::Groups;
use portcullis_inspect::machine::{Allow, Hosts, Parts, Screen};

use crate::config::settings::{ContentKind, ContentRule, Detectors, Level, Wider};

/// What is done at a level.
pub(crate) fn action(level: Level) -> Option<Action> {
    match level {
        Level::Off => None,
        Level::Observe => Some(Action::Observe),
        Level::Mask => Some(Action::Mask),
        Level::Tokenise => Some(Action::Tokenise),
        Level::Redact => Some(Action::Redact),
        Level::Block => Some(Action::Block),
    }
}

/// The screen for texts of one direction.
///
/// # Errors
/// The name of a rule that does not compile: settings were checked, so that is a mistake of ours.
pub(crate) fn screen(detectors: &Detectors) -> Result<Screen, &str> {
    let rules = detectors.rules.iter().map(|one| rule(one).ok_or(&*one.name));
    let content = Content::new(rules.collect::<Result<_, _>>()?);
    let list = detectors.allow.iter().map(String::as_str);
    let allow =
        Allow::parse(list).map_err(|(nth, _)| detectors.allow.get(nth).map_or("allow", String::as_str))?;
    let of = |levels: [Level; 6], fields| {
        let [pii, secrets, injection, active_content, links, code] = levels.map(action);
        let roles = action(detectors.roles);
        let groups = Groups { pii, secrets, injection, roles, active_content, links, code };
        Screen::compile(Parts {
            rules: groups.rules(&detectors.except),
            hosts: Hosts::new(detectors.hosts.iter().map(String::as_str)),
            allow: allow.clone(),
            content: content.clone(),
            fields,
        })
    };
    let fields =
        detectors.fields.iter().map(|field| (field.at.as_str().into(), of(field.levels, Vec::new())));
    let Detectors { pii, secrets, injection, active_content, links, code, .. } = detectors;
    Ok(of([*pii, *secrets, *injection, *active_content, *links, *code], fields.collect()))
}

fn rule(rule: &ContentRule) -> Option<Rule> {
    let kind = match &rule.kind {
        ContentKind::Topic(words) => Kind::Topic(Topic::new(words.iter().map(String::as_str))?),
        ContentKind::Phrase { pattern, wider } => {
            let phrase = Phrase::new(pattern).ok()?;
            match wider {
                None => Kind::Phrase(phrase),
                Some(Wider::Hold) => Kind::Awaited(phrase),
                Some(Wider::End) => Kind::Ending(phrase),
            }
        }
        ContentKind::Languages(codes) => {
            Kind::Languages(Languages::new(codes.iter().map(String::as_str)).ok()?)
        }
        ContentKind::Length(length) => Kind::Length(*length),
        ContentKind::Schema { text, wider } => {
            let schema = serde_json::from_str(text).ok()?;
            Kind::Schema { shape: Shape::new(&schema).ok()?, awaits: *wider == Wider::Hold }
        }
    };
    Some(Rule { name: rule.name.as_str().into(), kind, action: action(rule.action)? })
}
