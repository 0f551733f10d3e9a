//! Why a call is, was or would be allowed or refused: the gate compiled without sockets, and asked.

mod report;
mod steps;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use percent_encoding::percent_decode_str;
use portcullis_core::authorize::Envelope;
use portcullis_core::contract::OperationIndex;
use portcullis_core::graph::Graph;
use portcullis_core::grpc::{Fields, Grpc};
use portcullis_core::halt::Halt;
use portcullis_core::identify::{Identity, Principal};
use portcullis_core::mcp::Mcp;
use portcullis_core::policy::{ActionIndex, ActionKind, Call, Explanation, Facts, Unknowns, Verdict};
use portcullis_core::receive::{Received, receive};
use portcullis_core::request::{Peer, Request, Wire};
use portcullis_core::route::Route;
use serde_json::{Map, Value};
use smol_str::SmolStr;

use crate::compile::{Compiled, Kept, compile_on};
use crate::config::settings::{RecordTarget, Settings};
use crate::config::{self, Diagnostics, Disk};
use crate::server;
use steps::Known;
pub use steps::{Spoken, Step};

/// A configuration with its gate, which serves nothing.
#[derive(Debug)]
pub struct Desk {
    /// The configuration.
    pub settings: Settings,
    compiled: Compiled,
}

/// A request that nobody sent.
#[derive(Debug, Clone)]
pub struct Supposed {
    /// Its method.
    pub method: String,
    /// Path and query; of a gRPC request the query has the fields.
    pub target: String,
    /// The claims of its token; `None` without one.
    pub claims: Option<Map<String, Value>>,
    /// Where it comes from.
    pub address: IpAddr,
    /// Whether it comes over TLS.
    pub tls: bool,
    /// Its headers, in their order.
    pub headers: Vec<(String, String)>,
    /// Its body; JSON unless a header says otherwise.
    pub body: Option<Vec<u8>>,
    /// The model that a model call asks for.
    pub model: Option<String>,
    /// When it comes, in seconds since the epoch.
    pub now: i64,
}

/// What somebody still knows of a request that was recorded: records keep neither claims nor paths nor addresses.
#[derive(Debug, Clone, Default)]
pub struct Recalled {
    /// The claims of its token.
    pub claims: Option<Map<String, Value>>,
    /// Path and query.
    pub target: Option<String>,
    /// Where it came from.
    pub address: Option<IpAddr>,
}

/// Why a question cannot be answered.
#[derive(Debug, thiserror::Error)]
pub enum Unanswered {
    /// The request could not be sent to any gate.
    #[error("this is no request: {0}")]
    Request(#[from] http::Error),
    /// No issuer of the configuration is the token's.
    #[error("no issuer of the configuration is called `{0}` (`iss`)")]
    Issuer(String),
    /// No token has such claims.
    #[error("no token has such claims: {0}")]
    Claims(String),
    /// What is recalled is of another request.
    #[error("the record is of another {0} than what is given")]
    Another(&'static str),
    /// The line is no record.
    #[error("the record does not say its `{0}`")]
    Record(&'static str),
}

/// What is to be said of a call.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The call in a few words.
    pub call: String,
    /// The operation as policy names it.
    pub action: Option<String>,
    /// `allowed`, `denied` or `refused`, as it is now or as the record says.
    pub outcome: &'static str,
    /// Why, where something other than policy decided.
    pub detail: Option<String>,
    /// The policies that decided.
    pub decided_by: Vec<String>,
    /// Every policy about the operation.
    pub explanation: Option<Explanation>,
    /// What shows each role.
    pub holders: BTreeMap<SmolStr, Vec<String>>,
    /// Every phase, in the order of the path.
    pub steps: Vec<Step>,
}

impl Desk {
    /// Reads and compiles a configuration.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn open(path: &Path) -> Result<Self, Diagnostics> {
        let config::Loaded { settings, mut diagnostics, .. } = config::load(path, &Disk);
        let Some(settings) = settings else { return Err(diagnostics) };
        let kept = Kept::new(Arc::new(server::keyring()));
        // What has ended is what is asked about: it is found when a call is judged, not before.
        match compile_on(&settings, &kept, jiff::civil::Date::MIN) {
            Ok(compiled) => Ok(Self { settings, compiled }),
            Err(problems) => {
                diagnostics.0.extend(problems);
                Err(diagnostics)
            }
        }
    }

    /// Which guard runs where.
    pub fn coverage(&self) -> crate::coverage::Coverage {
        crate::coverage::Coverage::of(&self.compiled.gate)
    }

    /// The file of records that the configuration names.
    pub fn records(&self) -> Option<&Path> {
        match &self.settings.record {
            RecordTarget::File(path) => Some(path),
            RecordTarget::Stdout | RecordTarget::None => None,
        }
    }

    /// The names of the issuers.
    pub(crate) fn issuers(&self) -> Vec<SmolStr> {
        self.settings.issuers.iter().map(|issuer| issuer.name.as_str().into()).collect()
    }

    /// What is reachable.
    pub(crate) fn routes(&self) -> &portcullis_core::route::Routes {
        &self.compiled.gate.routes
    }

    /// Who may do what.
    pub fn policy(&self) -> &portcullis_core::policy::Policy {
        &self.compiled.gate.policy
    }

    /// Answers for a request that nobody sent: every phase that can be asked without sending anything.
    ///
    /// # Errors
    /// When it is no request, or no token could have such claims.
    pub fn suppose(&self, supposed: &Supposed) -> Result<Answer, Unanswered> {
        let gate = &self.compiled.gate;
        let principal = self.principal(supposed.claims.as_ref())?;
        let who = match &principal {
            Principal::Anonymous => "without credentials".to_owned(),
            Principal::Identity(identity) => format!("as {}/{}", identity.issuer, identity.subject),
        };
        let call = format!("{} {} {who}", supposed.method, supposed.target);
        let peer = Peer { address: supposed.address, is_tls: supposed.tls };
        let wire = Wire { parts: supposed.parts()?, peer, has_body: supposed.body.is_some() };
        let request = match receive(&gate.routes, &gate.receive, wire) {
            Ok(request) => request,
            Err(Halt::Refusal(refusal) | Halt::Fault(refusal)) => {
                let detail = format!("{}: {}", refusal.reason.code(), refusal.detail);
                return Ok(Answer::before(call, vec![Step::refuses("receive", detail)]));
            }
            Err(Halt::Reply(_)) => {
                return Ok(Answer::before(call, vec![Step::refuses("receive", "the gate answers itself")]));
            }
        };
        let stage = request.stage();
        let (route, operation) = (stage.route(), stage.operation());
        let query = request.head().query.as_deref();
        let fields =
            route.grpc.as_ref().map(|grpc| supposed_fields(grpc, operation, query.unwrap_or_default()));
        let known = Known {
            route,
            operation,
            principal: &principal,
            head: request.head(),
            fields: fields.as_deref().unwrap_or(&stage.path_parameters().0),
            path: stage.path_parameters(),
            body: supposed.body.as_deref(),
            now: supposed.now,
        };
        if let Some(detail) = not_identified(route, &principal) {
            let steps = vec![known.received(), Step::refuses("identify", detail)];
            return Ok(Answer::before(call, steps));
        }
        let until_policy = vec![known.received(), known.identified(), known.admitted()];
        match self.decided(call.clone(), &known, supposed, fields.as_deref()) {
            Ok(answer) => Ok(answer.along(&known, until_policy)),
            Err(detail) => {
                let step = Step::refuses("authorize", detail);
                Ok(Answer::before(call, until_policy.into_iter().chain([step]).collect()))
            }
        }
    }

    /// What policy says of a request that nobody sent, or why it cannot be asked.
    fn decided(
        &self,
        call: String,
        known: &Known<'_>,
        supposed: &Supposed,
        fields: Option<&[(Box<str>, Box<str>)]>,
    ) -> Result<Answer, String> {
        let (route, policy) = (known.route, self.policy());
        if let Some(graph) = &route.graph {
            return self
                .decided_of_graph(&call, known, supposed, graph)
                .map(|answer| answer.unless_open(route));
        }
        if let Some(mcp) = &route.mcp {
            return self.decided_of_mcp(&call, known, supposed, mcp).map(|answer| answer.unless_open(route));
        }
        let index = usize::try_from(known.operation.0).unwrap_or(usize::MAX);
        let action = route.authorize.actions.get(index).copied().flatten();
        let action = action.ok_or("the operation is no action of the policy")?;
        let is_model = policy.spec(action).is_some_and(|spec| spec.kind == ActionKind::Model);
        let envelope = known.body.filter(|_| is_model).map(Envelope::read).transpose();
        let envelope = envelope.map_err(|_| "the body is no envelope of a model call")?;
        let query = known.head.query.as_deref();
        let facts = match (&envelope, fields) {
            (Some(envelope), _) => {
                Facts::Model { model: &envelope.model, stream: envelope.stream, tools: envelope.tools }
            }
            (None, _) if is_model => {
                let model = supposed.model.as_deref().unwrap_or_default();
                Facts::Model { model, stream: false, tools: false }
            }
            (None, Some(fields)) => Facts::Rest { path: fields, query: None },
            (None, None) => Facts::Rest { path: &known.path.0, query },
        };
        let asked = Call {
            principal: known.principal,
            action,
            address: supposed.address,
            is_tls: supposed.tls,
            now: supposed.now,
            facts,
        };
        let explanation = policy.explain(&asked, Unknowns::default(), None);
        Ok(self.answer(call, action, explanation).unless_open(route))
    }

    /// What policy says of every root field that a graph is asked for: the first that is not allowed stands for all.
    fn decided_of_graph(
        &self,
        call: &str,
        known: &Known<'_>,
        supposed: &Supposed,
        graph: &Graph,
    ) -> Result<Answer, String> {
        let asked = graph.read(&known.given()).map_err(|halt| steps::violations(&halt).join("; "))?;
        let mut first: Option<Answer> = None;
        for root in asked.calls.iter().flat_map(|call| &call.roots) {
            let action = root.field.and_then(|index| *known.route.authorize.fields.get(index)?);
            let action = action.ok_or_else(|| format!("`{}` is no action of the policy", root.id))?;
            let asked = Call {
                principal: known.principal,
                action,
                address: supposed.address,
                is_tls: supposed.tls,
                now: supposed.now,
                facts: Facts::Rest { path: &[], query: Some(&root.facts) },
            };
            let explanation = self.policy().explain(&asked, Unknowns::default(), None);
            let answer = self.answer(call.to_owned(), action, explanation);
            if answer.outcome != "allowed" {
                return Ok(answer);
            }
            first.get_or_insert(answer);
        }
        first.ok_or_else(|| "an operation without a root field is no action".to_owned())
    }

    /// What policy says of everything that a message needs: the first that is not allowed stands for all.
    fn decided_of_mcp(
        &self,
        call: &str,
        known: &Known<'_>,
        supposed: &Supposed,
        mcp: &Mcp,
    ) -> Result<Answer, String> {
        let wanted = match known.message(mcp) {
            None => vec![mcp.of_session()],
            Some(message) => mcp.wants(&message.map_err(|halt| steps::violations(&halt).join("; "))?),
        };
        let mut first: Option<Answer> = None;
        for one in &wanted {
            let action = one.action.and_then(|index| *known.route.authorize.fields.get(index)?);
            let action = action.ok_or_else(|| format!("`{}` is no action of the policy", one.id))?;
            let asked = Call {
                principal: known.principal,
                action,
                address: supposed.address,
                is_tls: supposed.tls,
                now: supposed.now,
                facts: Facts::Rest { path: &one.path, query: None },
            };
            let explanation = self.policy().explain(&asked, Unknowns::default(), None);
            let answer = self.answer(call.to_owned(), action, explanation);
            if answer.outcome != "allowed" {
                return Ok(answer);
            }
            first.get_or_insert(answer);
        }
        first.ok_or_else(|| "the message needs nothing, which allows nothing".to_owned())
    }

    /// Answers for a request that was recorded. What neither the record says nor anybody recalls stays unknown.
    ///
    /// # Errors
    /// When the line is no record, or what is recalled is of another request.
    pub fn recorded(&self, record: &Value, recalled: &Recalled) -> Result<Answer, Unanswered> {
        let text = |name: &'static str| record.get(name).and_then(Value::as_str);
        let by_policy =
            record.pointer("/phases/authorize/outcome").and_then(Value::as_str) == Some("refused");
        let outcome = match text("reason") {
            None => "allowed",
            Some(_) if by_policy => "denied",
            Some(_) => "refused",
        };
        let principal = self.recalled_principal(record, recalled)?;
        let who = match &principal {
            Principal::Anonymous => "without credentials".to_owned(),
            Principal::Identity(identity) => format!("as {}/{}", identity.issuer, identity.subject),
        };
        let operation = text("route").zip(text("operation"));
        let name = operation.map(|(route, operation)| format!("{route}.{operation}"));
        let call = format!(
            "{} {} {who} at {}",
            text("method").unwrap_or("-"),
            name.as_deref().unwrap_or("(no operation)"),
            text("time").ok_or(Unanswered::Record("time"))?
        );
        let detail = text("reason").map(|reason| format!("{reason}: {}", text("detail").unwrap_or_default()));
        let strings = |name: &str| -> Vec<String> {
            let list = record.get(name).and_then(Value::as_array).into_iter().flatten();
            list.filter_map(Value::as_str).map(str::to_owned).collect()
        };
        let found = operation.and_then(|(route, operation)| self.policy().action(route, operation));
        let Some(action) = found else {
            let holders = BTreeMap::new();
            let decided_by = strings("policies");
            return Ok(Answer {
                call,
                action: name,
                outcome,
                detail,
                decided_by,
                explanation: None,
                holders,
                steps: steps::recorded(record),
            });
        };
        let roles: Vec<SmolStr> = strings("roles").iter().map(SmolStr::new).collect();
        let explanation = self.explain_recorded(record, &principal, action, recalled, &roles)?;
        let decided_by = strings("policies");
        let steps = steps::recorded(record);
        Ok(Answer {
            call,
            outcome,
            detail,
            decided_by,
            steps,
            ..self.answer(String::new(), action, explanation)
        })
    }

    fn explain_recorded(
        &self,
        record: &Value,
        principal: &Principal,
        action: ActionIndex,
        recalled: &Recalled,
        roles: &[SmolStr],
    ) -> Result<Explanation, Unanswered> {
        let time = record.get("time").and_then(Value::as_str);
        let time = time.and_then(|time| time.parse::<jiff::Timestamp>().ok());
        let is_tls = record.get("tls").and_then(Value::as_bool).unwrap_or_default();
        let address = recalled.address.unwrap_or_else(|| [0, 0, 0, 0].into());
        let received = match &recalled.target {
            Some(target) => Some(self.receive_again(record, target, Peer { address, is_tls })?),
            None => None,
        };
        let kind = self.policy().spec(action).map(|spec| spec.kind.clone());
        let unknown: Vec<(Box<str>, Box<str>)> = match &kind {
            Some(ActionKind::Rest { path, .. }) => {
                path.iter().map(|name| (name.as_str().into(), "".into())).collect()
            }
            Some(ActionKind::Model) | None => Vec::new(),
        };
        let facts = match (&kind, &received) {
            (Some(ActionKind::Model), _) => Facts::Model { model: "", stream: false, tools: false },
            (_, Some(received)) => Facts::Rest {
                path: &received.stage().path_parameters().0,
                query: received.head().query.as_deref(),
            },
            (_, None) => Facts::Rest { path: &unknown, query: None },
        };
        let unknowns = Unknowns {
            claims: recalled.claims.is_none(),
            // What a model call or a message said is in its body, which nobody keeps.
            request: received.is_none() || kind == Some(ActionKind::Model),
            address: recalled.address.is_none(),
        };
        let now = time.map_or(0, jiff::Timestamp::as_second);
        let asked = Call { principal, action, address, is_tls, now, facts };
        Ok(self.policy().explain(&asked, unknowns, Some(roles)))
    }

    /// Receives the request of a record again; it must come to the same operation.
    fn receive_again(
        &self,
        record: &Value,
        target: &str,
        peer: Peer,
    ) -> Result<Request<Received>, Unanswered> {
        let gate = &self.compiled.gate;
        let text = |name: &str| record.get(name).and_then(Value::as_str).unwrap_or_default();
        let request = http::Request::builder().method(text("method")).uri(target);
        let parts = request.header("host", "portcullis.invalid").body(())?.into_parts().0;
        let received = receive(&gate.routes, &gate.receive, Wire { parts, peer, has_body: false });
        let received = received.map_err(|_| Unanswered::Another("path"))?;
        let (route, operation) = (received.stage().route(), received.stage().operation());
        let id = route.contract.operation(operation).map(|operation| &*operation.id);
        let is_same = *route.name == *text("route") && id == Some(text("operation")) && route.grpc.is_none();
        if is_same { Ok(received) } else { Err(Unanswered::Another("operation")) }
    }

    /// The caller of a record, with the claims that are recalled.
    fn recalled_principal(&self, record: &Value, recalled: &Recalled) -> Result<Principal, Unanswered> {
        let recorded = recorded_principal(record)?;
        let Some(claims) = &recalled.claims else { return Ok(recorded) };
        let given = self.principal(Some(claims))?;
        match (&recorded, &given) {
            (Principal::Identity(old), Principal::Identity(new))
                if old.issuer == new.issuer && old.subject == new.subject =>
            {
                Ok(given)
            }
            _ => Err(Unanswered::Another("caller")),
        }
    }

    fn answer(&self, call: String, action: ActionIndex, explanation: Explanation) -> Answer {
        let (outcome, policies, detail) = match &explanation.verdict {
            Verdict::Allow { policies } => ("allowed", policies, None),
            Verdict::Deny { policies } if policies.is_empty() => {
                ("denied", policies, Some("no policy allows the call".to_owned()))
            }
            Verdict::Deny { policies } => ("denied", policies, None),
            Verdict::Indeterminate { cause, policies } => ("refused", policies, Some(cause.to_string())),
        };
        let holders =
            self.settings.roles.iter().flat_map(|roles| &roles.book.roles).map(|role| {
                (role.name.clone(), role.holders.iter().map(|holder| holder.describe()).collect())
            });
        Answer {
            call,
            action: self.policy().spec(action).map(|spec| spec.name().to_string()),
            outcome,
            detail,
            decided_by: policies.iter().map(ToString::to_string).collect(),
            holders: holders.collect(),
            explanation: Some(explanation),
            steps: Vec::new(),
        }
    }

    fn principal(&self, claims: Option<&Map<String, Value>>) -> Result<Principal, Unanswered> {
        let Some(claims) = claims else { return Ok(Principal::Anonymous) };
        let named = claims.get("iss").and_then(Value::as_str).unwrap_or_default();
        let mut issuers = self.settings.issuers.iter();
        let issuer = issuers.find(|one| one.issuer == named || one.name == named);
        let issuer = issuer.ok_or_else(|| Unanswered::Issuer(named.to_owned()))?;
        let identity = Identity::supposed(&issuer.name, claims.clone());
        let identity = identity.map_err(|fault| Unanswered::Claims(fault.to_string()))?;
        Ok(Principal::Identity(Arc::new(identity)))
    }
}

/// The fields of a gRPC request that is supposed: those in the query, and of the others what they mean when not sent.
fn supposed_fields(grpc: &Grpc, operation: OperationIndex, query: &str) -> Fields {
    let mut fields = grpc.message_fields(operation, b"").unwrap_or_default();
    let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let (name, value) = (decoded(name), decoded(value));
        match fields.iter_mut().find(|(known, _)| **known == *name) {
            Some((_, known)) => *known = value.into(),
            None => fields.push((name.into(), value.into())),
        }
    }
    fields
}

fn not_identified(route: &Route, principal: &Principal) -> Option<String> {
    match principal {
        Principal::Anonymous if route.identify.allows_anonymous => None,
        Principal::Anonymous => Some("identify: the route takes no call without credentials".to_owned()),
        Principal::Identity(identity) => {
            let counts = route.identify.issuers.iter().any(|one| **one == *identity.issuer);
            (!counts).then(|| format!("identify: tokens of issuer `{}` do not count here", identity.issuer))
        }
    }
}

fn recorded_principal(record: &Value) -> Result<Principal, Unanswered> {
    let Some(who) = record.get("principal") else { return Ok(Principal::Anonymous) };
    let text = |name: &str| who.get(name).and_then(Value::as_str);
    let (Some(issuer), Some(subject)) = (text("issuer"), text("subject")) else {
        return Ok(Principal::Anonymous);
    };
    let claims = Map::from_iter([("sub".to_owned(), Value::from(subject))]);
    let identity = Identity::supposed(issuer, claims).map_err(|_| Unanswered::Record("principal"))?;
    Ok(Principal::Identity(Arc::new(identity)))
}

/// The record with this id, in a file of one record a line.
pub fn find_record(text: &str, id: &str) -> Option<Value> {
    let lines = text.lines().filter(|line| line.contains(id));
    let mut records = lines.filter_map(|line| serde_json::from_str::<Value>(line).ok());
    records.find(|record| record.get("id").and_then(Value::as_str) == Some(id))
}

impl Supposed {
    fn parts(&self) -> Result<http::request::Parts, Unanswered> {
        let mut request = http::Request::builder().method(self.method.as_str()).uri(&self.target);
        let has = |name: &str| self.headers.iter().any(|(one, _)| one.eq_ignore_ascii_case(name));
        if !has("host") {
            request = request.header("host", "portcullis.invalid");
        }
        if self.body.is_some() && !has("content-type") {
            request = request.header("content-type", "application/json");
        }
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        Ok(request.body(())?.into_parts().0)
    }
}

impl Answer {
    /// For a request that ended, in the last of these phases, before policy could say anything of use.
    fn before(call: String, steps: Vec<Step>) -> Self {
        let detail = steps.last().map(|step| format!("{}: {}", step.phase, step.detail));
        Self {
            call,
            action: None,
            outcome: "refused",
            detail,
            decided_by: Vec::new(),
            explanation: None,
            holders: BTreeMap::new(),
            steps: steps::ended(steps),
        }
    }

    /// The same where policy is not asked: its route says so in writing.
    fn unless_open(mut self, route: &Route) -> Self {
        if !route.authorize.enforced {
            (self.outcome, self.decided_by) = ("allowed", Vec::new());
            self.detail = Some("the route says `authorize: none`, so policy is not asked".to_owned());
        }
        self
    }

    /// With what the phases beside policy say of the same request.
    fn along(mut self, known: &Known<'_>, mut steps: Vec<Step>) -> Self {
        let decided = match &self.detail {
            Some(detail) => detail.clone(),
            None => format!("decided by {}", self.decided_by.join(", ")),
        };
        let is_allowed = self.outcome == "allowed";
        steps.push(if is_allowed {
            Step::passes("authorize", decided)
        } else {
            Step::refuses("authorize", decided)
        });
        steps.extend(known.contents());
        steps.extend(known.beyond());
        // What policy denies stays denied, whatever else would refuse it.
        if let Some(step) = steps.iter().find(|step| is_allowed && step.said == Spoken::Refuses) {
            self.outcome = "refused";
            self.detail = Some(format!("{}: {}", step.phase, step.detail));
        }
        self.steps = steps;
        self
    }
}

#[cfg(test)]
mod tests;
