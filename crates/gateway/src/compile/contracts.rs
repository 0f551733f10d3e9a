//! The contracts of routes: read from documents, or those of what a route speaks.

use portcullis_core::contract::{Contract, ContractOptions, Problem, Scheme, SchemeKind};
use portcullis_inspect::dialect;

use super::{Compiler, Part, parts, spoken};
use crate::config::settings::Api;
use crate::config::{Diagnostic, Place};

impl Compiler<'_> {
    pub(super) fn contracts(&mut self) -> Vec<Option<Contract>> {
        parts(self.settings)
            .map(|part| match part {
                Part::Api(api) => self.contract(api),
                Part::Model(model) => {
                    let (speech, offer) = spoken(model);
                    let document = dialect::contract(speech, offer, model.allow_unknown);
                    self.own_contract(Ok(document), &model.place)
                }
                Part::Graph(graph) => {
                    let compiled = self.graph(graph);
                    let transport = serde_json::from_str(portcullis_core::graph::TRANSPORT);
                    let contract = self.own_contract(transport, &graph.place);
                    compiled.and(contract)
                }
                Part::Tools(server) => {
                    let transport = serde_json::from_str(portcullis_core::mcp::TRANSPORT);
                    self.own_contract(transport, &server.place)
                }
            })
            .collect()
    }

    fn contract(&mut self, api: &Api) -> Option<Contract> {
        let document = match &api.grpc {
            None => (*api.contract.document).clone(),
            Some(schema) => schema.document(false),
        };
        match Contract::compile(document, &ContractOptions::default()) {
            Ok(contract) => {
                if !api.ignore_security {
                    self.problems.extend(unmet_schemes(api, &contract));
                }
                Some(contract)
            }
            Err(problems) => {
                let places = problems.iter().map(|problem| {
                    api.contract.at(&problem.pointer).error("bad-contract", problem.message.clone())
                });
                self.problems.extend(places);
                None
            }
        }
    }

    /// A contract of the gate's own.
    pub(super) fn own_contract(
        &mut self,
        document: Result<serde_json::Value, serde_json::Error>,
        place: &Place,
    ) -> Option<Contract> {
        let compiled = document.map_err(|error| error.to_string()).and_then(|document| {
            Contract::compile(document, &ContractOptions::default())
                .map_err(|problems| format!("{problems:?}"))
        });
        compiled.map_err(|error| self.problems.push(place.error("internal", error))).ok()
    }
}

/// What the core finds worth a look in a contract.
pub(super) fn contract_warnings(api: &Api, contract: &Contract) -> Vec<Diagnostic> {
    let warning =
        |problem: &Problem| api.contract.at(&problem.pointer).warning("contract", problem.message.clone());
    contract.warnings().iter().map(warning).collect()
}

/// Security schemes of the contract without which an operation cannot be called, and that `identify` cannot take.
fn unmet_schemes(api: &Api, contract: &Contract) -> Vec<Diagnostic> {
    let is_met = |name: &str| {
        let scheme = contract.schemes().iter().find(|scheme| *scheme.name == *name);
        scheme.is_some_and(|scheme| scheme.kind == SchemeKind::Bearer && !api.identify.issuers.is_empty())
    };
    let mut unmet: Vec<(&Scheme, Vec<&str>)> = Vec::new();
    for operation in contract.operations() {
        let alternatives = &operation.security;
        if alternatives.is_empty() || alternatives.iter().any(|one| one.iter().all(|name| is_met(name))) {
            continue;
        }
        for name in alternatives.first().into_iter().flatten().filter(|name| !is_met(name)) {
            let Some(scheme) = contract.schemes().iter().find(|scheme| scheme.name == *name) else {
                continue;
            };
            match unmet.iter_mut().find(|(known, _)| known.name == scheme.name) {
                Some((_, operations)) => operations.push(&operation.id),
                None => unmet.push((scheme, vec![&operation.id])),
            }
        }
    }
    let report = |(scheme, operations): (&Scheme, Vec<&str>)| {
        let asks_for = scheme.kind.asks_for();
        let first = operations.first().copied().unwrap_or_default();
        let more = match operations.len() {
            1 => String::new(),
            count => format!(" and {} more", count - 1),
        };
        let message = format!(
            "`{}` asks callers of `{first}`{more} for {asks_for}, which `{}` cannot identify them by",
            scheme.name, api.name
        );
        let mut problem = api.contract.at(&scheme.pointer).error("unmet-security", message);
        problem.help(match scheme.kind {
            SchemeKind::Bearer => "name an issuer in `identify`, or write `security: ignore` in the API",
            _ => "identify callers otherwise and write `security: ignore` in the API",
        });
        problem
    };
    unmet.into_iter().map(report).collect()
}
