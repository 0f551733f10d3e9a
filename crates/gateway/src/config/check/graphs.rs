//! Graphs: schemas, paths, limits, listed operations, who may come.

use portcullis_core::graph::GraphLimits;
use portcullis_core::validate::Told;

use super::Checker;
use super::judges::Reads;
use super::routes::{Used, below};
use super::upstream::Defaults;
use crate::config::diagnostic::Place;
use crate::config::file;
use crate::config::read::{At, OneOrMany};
use crate::config::settings::{Check, Detectors, Graph, GraphObject, GraphWaiver, SourceText, Upstream};

impl Checker<'_, '_> {
    pub(super) fn graph(
        &mut self,
        name: &At<String>,
        written: file::Graph,
        used: &mut Used<'_>,
    ) -> Option<Graph> {
        let schema = written.schema.and_then(|schema| self.texts(schema.value));
        let path = written.path.unwrap_or(At { at: name.at, value: "/graphql".to_owned() });
        let path_at = path.at;
        let path = self.base_path(name, Some(path), used);
        if path.as_deref() == Some("") {
            self.error("bad-path", path_at, "a graph has one path, and `/` is none")
                .expected("a path such as `/graphql`");
        }
        let path = path.filter(|path| !path.is_empty());
        let identify = written.identify.and_then(|identify| self.identify(identify, used));
        let upstream = written.upstream.and_then(|upstream| self.upstream(upstream, Defaults::API));
        let upstream = upstream
            .zip(path.as_deref())
            .map(|(upstream, path)| Upstream { url: below(&upstream.url, path), ..upstream });
        for budget in &written.budgets {
            if let Some(operation) = budget.value.operations.iter().flatten().next() {
                self.error(
                    "bad-value",
                    operation.at,
                    "budgets are taken before a graph's operations are read",
                )
                .help("leave `operations` out; `limits` bounds what one request may ask for");
            }
        }
        let budgets = self.budgets(written.budgets, None, identify.as_ref());
        let forward_credential = written.forward_credential.unwrap_or(false);
        let own = upstream.as_ref().and_then(|upstream| upstream.credential.as_ref());
        if forward_credential && own.is_some_and(|own| own.header == http::header::AUTHORIZATION) {
            self.error("contradiction", name.at, "both the client's and the gate's credential would be sent")
                .help("leave out `forward_credential`, or name another `header` in `credential`");
        }
        let is_listing = written.operations.is_some();
        if let (Some(file::Tolerance::Refuse), false) = (written.unlisted, is_listing) {
            self.error("contradiction", name.at, "no operation is listed, so all would be refused")
                .help("name files in `operations`");
        }
        let operations = match written.operations {
            None => Some(Vec::new()),
            Some(operations) => self.texts(operations),
        };
        let objects = written.objects.into_iter().map(|object| self.graph_object(object));
        let objects = objects.collect::<Vec<_>>().into_iter().collect::<Option<Vec<_>>>();
        let waivers = written.waive.into_iter().map(|waiver| self.graph_waiver(waiver));
        let waivers = waivers.collect::<Vec<_>>().into_iter().collect::<Option<Vec<_>>>();
        Some(Graph {
            name: name.value.clone(),
            schema: schema?,
            path: path?,
            upstream: upstream?,
            identify: identify?,
            forward_credential,
            authorize: written.authorize != Some(file::Authorize::None),
            hide: written.hide.unwrap_or(false),
            limits: limits(&written.limits.unwrap_or_default()),
            introspection: written.introspection == Some(file::Tolerance::Allow),
            operations: operations?,
            listed_only: is_listing && written.unlisted != Some(file::Tolerance::Allow),
            objects: objects?,
            waivers: waivers?,
            allows_unbound: written.unbound == Some(file::Unbound::Allow),
            budgets,
            answers: match written.answers {
                None | Some(file::Answers::Enforce) => Check::Enforce,
                Some(file::Answers::Strip) => Check::Strip,
                Some(file::Answers::Observe) => Check::Observe,
                Some(file::Answers::None) => Check::None,
            },
            violations: match written.violations {
                None | Some(file::Violations::All) => Told::All,
                Some(file::Violations::Identified) => Told::Identified,
                Some(file::Violations::None) => Told::Nobody,
            },
            body_limit: written.body_limit.map_or(256 << 10, |size| size.0),
            inspect: self.detectors(written.inspect.as_ref(), Detectors::INSPECT, Reads::Bodies),
            screen: self.detectors(written.screen.as_ref(), Detectors::SCREEN, Reads::Bodies),
            place: self.report.place(name.at),
        })
    }

    /// The texts that patterns name, each once.
    fn texts(&mut self, patterns: OneOrMany<At<String>>) -> Option<Vec<SourceText>> {
        let mut texts: Vec<SourceText> = Vec::new();
        for pattern in patterns.0 {
            for written in self.loader.expand(&pattern.value, pattern.at, self.report) {
                let text = self.loader.text(&written, pattern.at, self.report)?;
                if !texts.iter().any(|other| other.path == text.path) {
                    texts.push(text);
                }
            }
        }
        Some(texts)
    }

    fn graph_object(&mut self, At { at, value }: At<file::GraphObject>) -> Option<GraphObject> {
        let unless = self.callers(value.unless);
        let owner = value.owner?;
        let equals = match owner.value.strip_prefix("claim:").filter(|claim| !claim.is_empty()) {
            Some(claim) => claim.to_owned(),
            None => {
                self.error("bad-value", owner.at, format!("`{}` does not say whose it is", owner.value))
                    .expected("`claim:NAME`");
                return None;
            }
        };
        Some(GraphObject {
            argument: self.placed(value.argument?),
            equals,
            fields: value.fields.unwrap_or_default().into_iter().map(|one| self.placed(one)).collect(),
            unless: unless?,
            place: self.report.place(at),
        })
    }

    fn graph_waiver(&mut self, At { at, value }: At<file::GraphWaiver>) -> Option<GraphWaiver> {
        let reason = value.reason?;
        if reason.value.trim().is_empty() {
            self.error("bad-value", reason.at, "a waiver has a reason").expected("why nobody need own it");
        }
        let until = value.until.as_ref().map(|until| (until.at, until.value.parse().ok()));
        if let Some((at, None)) = until {
            self.error("bad-value", at, "this is not a day").expected("a day as `2027-01-31`");
        }
        Some(GraphWaiver {
            argument: self.placed(value.argument?),
            fields: value.fields.unwrap_or_default().into_iter().map(|one| self.placed(one)).collect(),
            reason: reason.value,
            by: self.author(value.by),
            until: until.and_then(|(_, day)| day),
            place: self.report.place(at),
        })
    }

    fn placed(&self, one: At<String>) -> (String, Place) {
        (one.value, self.report.place(one.at))
    }
}

fn limits(written: &file::GraphLimits) -> GraphLimits {
    let default = GraphLimits::default();
    GraphLimits {
        tokens: written.tokens.unwrap_or(default.tokens),
        depth: written.depth.unwrap_or(default.depth),
        aliases: written.aliases.unwrap_or(default.aliases),
        directives: written.directives.unwrap_or(default.directives),
        root_fields: written.root_fields.unwrap_or(default.root_fields),
        cost: written.cost.unwrap_or(default.cost),
        list_length: written.list_length.unwrap_or(default.list_length),
        batch: written.batch.unwrap_or(default.batch),
    }
}
