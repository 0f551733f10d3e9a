//! The whole path of a request, phase by phase: what each says, and which cannot be asked here, and why.

use portcullis_core::authorize::{Obligations, OperationRules, Owed, Owner};
use portcullis_core::contract::{OperationIndex, PathParameters};
use portcullis_core::graph::{Given, Graph, Stop};
use portcullis_core::halt::Halt;
use portcullis_core::identify::Principal;
use portcullis_core::mcp::{Mcp, Message};
use portcullis_core::request::Head;
use portcullis_core::route::{Route, Surface};
use portcullis_core::validate;
use serde::Serialize;
use serde_json::Value;

/// The phases, as records name them; what is asked of objects stands between those of the core and those that send.
const PHASES: [&str; 9] =
    ["receive", "identify", "admit", "authorize", "objects", "validate", "inspect", "forward", "screen"];

/// One phase.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Step {
    /// Its name.
    pub phase: &'static str,
    /// What it says.
    pub said: Spoken,
    /// What that rests on; where it was not asked, why not.
    pub detail: String,
}

/// What a phase says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Spoken {
    /// The request passes.
    Passes,
    /// It does not.
    Refuses,
    /// Nobody was asked: what it needs is not here.
    NotAsked,
    /// A phase before it ended the request.
    NotReached,
}

impl Step {
    pub(super) fn passes(phase: &'static str, detail: impl Into<String>) -> Self {
        Self { phase, said: Spoken::Passes, detail: detail.into() }
    }

    pub(super) fn refuses(phase: &'static str, detail: impl Into<String>) -> Self {
        Self { phase, said: Spoken::Refuses, detail: detail.into() }
    }

    fn not_asked(phase: &'static str, detail: impl Into<String>) -> Self {
        Self { phase, said: Spoken::NotAsked, detail: detail.into() }
    }

    /// The sign that stands before it.
    pub(super) fn sign(&self) -> char {
        match self.said {
            Spoken::Passes => '+',
            Spoken::Refuses => '-',
            Spoken::NotAsked => '?',
            Spoken::NotReached => '.',
        }
    }
}

/// A request that ended in the last of these phases.
pub(super) fn ended(mut steps: Vec<Step>) -> Vec<Step> {
    let last = steps.last().and_then(|step| PHASES.iter().position(|phase| *phase == step.phase));
    let rest = PHASES.iter().skip(last.map_or(0, |last| last.saturating_add(1)));
    let detail = String::new;
    steps.extend(rest.map(|phase| Step { phase, said: Spoken::NotReached, detail: detail() }));
    steps
}

/// What is known of a request that nobody sent, once it was received.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known<'k> {
    pub(super) route: &'k Route,
    pub(super) operation: OperationIndex,
    pub(super) principal: &'k Principal,
    pub(super) head: &'k Head,
    /// Path parameters; of a gRPC request its fields.
    pub(super) fields: &'k [(Box<str>, Box<str>)],
    pub(super) path: &'k PathParameters,
    pub(super) body: Option<&'k [u8]>,
    pub(super) now: i64,
}

impl Known<'_> {
    pub(super) fn received(&self) -> Step {
        let operation = self.route.contract.operation(self.operation).map_or("", |operation| &operation.id);
        Step::passes("receive", format!("operation `{operation}` of `{}`", self.route.name))
    }

    pub(super) fn identified(&self) -> Step {
        Step::passes(
            "identify",
            match self.principal {
                Principal::Anonymous => "the route takes calls without credentials, in writing",
                Principal::Identity(_) => "the claims are taken as those of a valid token: none was verified",
            },
        )
    }

    /// The budgets that such a request takes from.
    pub(super) fn admitted(&self) -> Step {
        let budgets = self.route.budgets.iter().filter(|budget| budget.applies(self.operation));
        let budgets: Vec<_> = budgets.collect();
        if let Some(budget) = budgets.iter().find(|budget| budget.burst == 0) {
            return Step::refuses("admit", format!("the budget `{}` admits nothing", budget.name));
        }
        if budgets.is_empty() {
            return Step::passes("admit", "no budget applies");
        }
        let each = budgets.iter().map(|budget| {
            let (name, limit, per) = (&budget.name, budget.limit, budget.per.as_str());
            format!("`{name}` ({limit} per {per}, {} at once)", budget.burst)
        });
        let each = each.collect::<Vec<_>>().join(", ");
        Step::not_asked("admit", format!("it takes from {each}; only the running gate knows what is left"))
    }

    /// Whose the objects are, and whether it meets its contract.
    pub(super) fn contents(&self) -> [Step; 2] {
        match &self.route.graph {
            Some(graph) => self.of_graph(graph),
            None if self.route.mcp.is_some() => self.of_mcp(),
            None => [self.owned(), self.validated()],
        }
    }

    /// The message of a tool server's client; `None` for a stream and the end of a session.
    pub(super) fn message(&self, mcp: &Mcp) -> Option<Result<Message, Halt>> {
        let Head { method, query, headers, .. } = self.head;
        let read = || mcp.read(headers, query.as_deref(), self.body.unwrap_or_default());
        (*method == http::Method::POST).then(read)
    }

    /// A message has no objects that anything is bound to.
    fn of_mcp(&self) -> [Step; 2] {
        let objects = Step::not_asked("objects", "only the running gate knows whose a session is");
        let message = self.route.mcp.as_deref().and_then(|mcp| self.message(mcp));
        let validated = match message {
            None => Step::passes("validate", "there is no message"),
            Some(Ok(message)) if message.violations().is_empty() => {
                Step::passes("validate", "the message meets the protocol")
            }
            Some(Ok(message)) => {
                let each = message.violations().iter().map(|one| format!("{}: {}", one.at, one.message));
                Step::refuses("validate", each.collect::<Vec<_>>().join("; "))
            }
            Some(Err(halt)) => Step::refuses("validate", violations(&halt).join("; ")),
        };
        [objects, validated]
    }

    /// What a graph is given.
    pub(super) fn given(&self) -> Given<'_> {
        let Head { method, query, headers, .. } = self.head;
        Given { method, query: query.as_deref(), headers, body: self.body.unwrap_or_default() }
    }

    /// A graph is asked about both at once.
    fn of_graph(&self, graph: &Graph) -> [Step; 2] {
        let judged = match graph.read(&self.given()) {
            Ok(asked) => graph.judge(&asked, self.principal, &self.head.headers, self.now),
            Err(halt) => {
                let unread =
                    Step::not_asked("objects", "there is no operation whose arguments could be judged");
                return [unread, Step::refuses("validate", violations(&halt).join("; "))];
            }
        };
        match judged {
            Ok(_) => [
                Step::passes(
                    "objects",
                    "every object that an argument names is the caller's, or is not bound",
                ),
                Step::passes("validate", "the operations meet the schema and the limits"),
            ],
            Err(Stop::Foreign(error)) => [
                Step::refuses("objects", error.to_string()),
                Step::not_asked("validate", "a request for the objects of others ends before"),
            ],
            Err(Stop::Fault(fault)) => [
                Step::not_asked("objects", "what breaks the schema or a limit is judged no further"),
                Step::refuses("validate", violations(&fault.halt(true)).join("; ")),
            ],
        }
    }

    /// Whose the objects are: by the request itself, where that proves it.
    fn owned(&self) -> Step {
        let Some(rules) = self.route.authorize.objects.of(self.operation) else {
            return Step::passes("objects", "nothing that the operation takes is bound to an owner");
        };
        if self.route.grpc.as_ref().is_some_and(|grpc| grpc.is_stream(self.operation)) {
            return Step::not_asked("objects", "each message of a stream is judged when it comes");
        }
        let body = self.body.unwrap_or_default();
        match rules.suppose(self.principal, self.fields, self.head, body, self.now) {
            Err(error) => Step::refuses("objects", error.to_string()),
            Ok(None) => Step::passes(
                "objects",
                "the request itself proves whose they are, or the caller is not bound",
            ),
            Ok(Some(obligations)) => self.owing(rules, &obligations),
        }
    }

    fn owing(&self, rules: &OperationRules, obligations: &Obligations) -> Step {
        let mut needs: Vec<String> =
            obligations.owed.iter().filter_map(|owed| self.owes(rules, owed)).collect();
        for (index, owner) in &obligations.lists {
            if let Some(list) = rules.lists.get(*index) {
                let then = if list.refuses { "else the answer is refused" } else { "others are left out" };
                let (items, at) = (&list.items, &list.owner);
                needs.push(format!(
                    "each element of `{items}` in the answer must name `{owner}` at `{at}`, {then}"
                ));
            }
        }
        if let Some(exposed) = &obligations.exposed {
            needs.push(format!(
                "{} of the property filters name the caller; the answer is cut to them",
                exposed.len()
            ));
        }
        if let Some(creator) = &obligations.creator {
            needs.push(format!("what it creates is remembered as that of `{creator}`"));
        }
        Step::not_asked("objects", format!("nothing is sent, so nobody said: {}", needs.join("; ")))
    }

    fn owes(&self, rules: &OperationRules, owed: &Owed) -> Option<String> {
        let bound = rules.bound.get(owed.bound)?;
        let (parameter, id, owner) = (&bound.parameter, &owed.identifier, &owed.owner);
        Some(match &bound.owner {
            Owner::Answer { owner: at, probe: None } => {
                format!("the answer must name `{owner}` at `{at}` as owner of `{parameter}` `{id}`")
            }
            Owner::Answer { owner: at, probe: Some(probe) } => {
                let reads = self.route.contract.operation(probe.operation).map_or("", |reads| &reads.id);
                format!("a probe by `{reads}` must name `{owner}` at `{at}` as owner of `{parameter}` `{id}`")
            }
            Owner::Created(_) => {
                format!("the running gate must remember that `{owner}` created `{parameter}` `{id}`")
            }
            // Whatever else knows it is beyond the request, and is asked by the running gate.
            _ => format!("a lookup must name `{owner}` as owner of `{parameter}` `{id}`"),
        })
    }

    /// Whether it meets the contract, as far as it is given.
    fn validated(&self) -> Step {
        if !self.route.validate.request {
            return Step::passes("validate", "requests of the route are not checked, in writing");
        }
        if self.route.grpc.is_some() {
            return Step::not_asked("validate", "messages are read from the wire only");
        }
        let declared =
            self.route.contract.operation(self.operation).and_then(|operation| operation.body.as_ref());
        if let (Some(declared), None) = (declared, self.body) {
            let must = if declared.required { "needs" } else { "takes" };
            let without = validate::suppose(self.route, self.operation, self.path, self.head, b"");
            let parameters = without.err().map(|halt| violations(&halt)).unwrap_or_default();
            let parameters: Vec<String> = parameters.into_iter().filter(|one| one.contains(':')).collect();
            if !parameters.is_empty() {
                return Step::refuses("validate", parameters.join("; "));
            }
            return Step::not_asked(
                "validate",
                format!("the operation {must} a body, and none was given (`--body`)"),
            );
        }
        let body = self.body.unwrap_or_default();
        let limit = self.route.body_limit(self.operation);
        if body.len() > limit {
            return Step::refuses("validate", format!("the body is longer than {limit} bytes"));
        }
        match validate::suppose(self.route, self.operation, self.path, self.head, body) {
            Ok(()) => Step::passes("validate", "parameters and body meet the contract"),
            Err(halt) => Step::refuses("validate", violations(&halt).join("; ")),
        }
    }

    /// The phases that read contents, send, and judge what comes back.
    pub(super) fn beyond(&self) -> [Step; 3] {
        let what = if self.route.surface == Surface::Rest { "the body" } else { "the prompt or message" };
        [
            Step::not_asked("inspect", format!("detectors read {what} in the running gate only")),
            Step::not_asked("forward", "nothing is sent"),
            Step::not_asked(
                "screen",
                "there is no answer to hold to the contract, its owners and the detectors",
            ),
        ]
    }
}

/// What is wrong with a request, each with its place where that is known.
pub(super) fn violations(halt: &Halt) -> Vec<String> {
    match halt {
        Halt::Refusal(refusal) | Halt::Fault(refusal) if refusal.violations.is_empty() => {
            vec![format!("{}: {}", refusal.reason.code(), refusal.detail)]
        }
        Halt::Refusal(refusal) | Halt::Fault(refusal) => {
            refusal.violations.iter().map(|one| format!("`{}` {}", one.at, one.message)).collect()
        }
        Halt::Reply(_) => vec!["the gate answers itself".to_owned()],
    }
}

/// The phases of a record, in its own words.
pub(super) fn recorded(record: &Value) -> Vec<Step> {
    let reason = || {
        let text = |name: &str| record.get(name).and_then(Value::as_str).unwrap_or_default();
        format!("{}: {}", text("reason"), text("detail"))
    };
    let mut steps = Vec::new();
    for phase in PHASES.into_iter().filter(|phase| *phase != "objects") {
        let outcome = record.pointer(&format!("/phases/{phase}/outcome")).and_then(Value::as_str);
        steps.push(match outcome {
            Some("passed") => Step::passes(phase, "passed then"),
            Some("none") => Step::passes(phase, "was configured to do nothing"),
            Some("abandoned") => Step::refuses(phase, "the client went away"),
            Some(_) => Step::refuses(phase, reason()),
            None => Step { phase, said: Spoken::NotReached, detail: String::new() },
        });
    }
    // Which object it was is kept by no record, so its owner cannot be asked for again.
    let objects = match record.get("denied") {
        Some(_) => Step::refuses("objects", "what the request named was not the caller's"),
        None => {
            Step::not_asked("objects", "records keep no identifiers: it was judged with `authorize` then")
        }
    };
    let at = steps.iter().position(|step| step.phase == "validate").unwrap_or(steps.len());
    steps.insert(at, objects);
    steps
}
