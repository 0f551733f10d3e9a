//! The two judges.

use std::sync::Arc;
use std::time::UNIX_EPOCH;

use portcullis_core::admit::{Buckets, admit};
use portcullis_core::authorize::{AuthorizeRules, authorize};
use portcullis_core::contract::{Contract, ContractOptions};
use portcullis_core::halt::{Halt, Reason, Violation};
use portcullis_core::identify::{IdentifyRules, Issuers, identify};
use portcullis_core::policy::Policy;
use portcullis_core::receive::{ReceiveRules, receive};
use portcullis_core::request::{Peer, Wire};
use portcullis_core::route::{Route, RouteId, Routes, Surface};
use portcullis_core::validate::{Unknown, ValidateRules, validate};
use roas::v3_2::spec::Spec;
use roas_http_validator::{Location, Options, RequestView, RoutingError, ValidationError, Validator};
use serde_json::Value;

use crate::calls::Call;
use crate::document::Document;
use crate::plain::plain;

/// The gate's own phases, without sockets.
pub struct Ours {
    routes: Routes,
    rules: ReceiveRules,
    issuers: Issuers,
    buckets: Buckets,
    policy: Policy,
}

/// Why the gate refuses.
#[derive(Debug, Clone)]
pub struct Refused {
    pub reason: Reason,
    pub detail: String,
    pub violations: Vec<Violation>,
}

impl Ours {
    /// The gate before the API of `document`; `is_open` where it takes fields that the document does not name.
    pub fn new(document: Value, is_open: bool) -> Result<Self, String> {
        let options = ContractOptions { ignore_broken_patterns: true, ..ContractOptions::default() };
        let contract = Contract::compile(document, &options).map_err(|problems| format!("{problems:?}"))?;
        let fields = if is_open { Unknown::Allow } else { Unknown::Refuse };
        let route = Route {
            id: RouteId(0),
            name: "api".into(),
            surface: Surface::Rest,
            base_path: "".into(),
            contract,
            graph: None,
            grpc: None,
            mcp: None,
            identify: IdentifyRules { allows_anonymous: true, ..IdentifyRules::default() },
            budgets: Vec::new(),
            authorize: AuthorizeRules { enforced: false, ..AuthorizeRules::default() },
            validate: ValidateRules {
                unknown_fields: fields,
                unknown_parameters: fields,
                ..ValidateRules::default()
            },
            body_limit: 1 << 20,
            body_limits: Vec::new(),
            allows_websocket: false,
        };
        Ok(Self {
            routes: Routes::new(vec![Arc::new(route)]),
            rules: ReceiveRules::default(),
            issuers: Issuers::new(Vec::new()).map_err(|error| error.to_string())?,
            buckets: Buckets::new(16),
            policy: Policy::load(&[], &[]).map_err(|problems| format!("{problems:?}"))?.0,
        })
    }

    /// What the gate says of a request.
    pub fn ask(&self, call: &Call) -> Result<(), Refused> {
        self.walk(call).map_err(|halt| match halt {
            Halt::Refusal(refusal) | Halt::Fault(refusal) => Refused {
                reason: refusal.reason,
                detail: refusal.detail.clone().into_owned(),
                violations: refusal.violations.clone(),
            },
            Halt::Reply(_) => {
                Refused { reason: Reason::Internal, detail: "a reply".into(), violations: Vec::new() }
            }
        })
    }

    fn walk(&self, call: &Call) -> Result<(), Halt> {
        let target = match &call.query {
            Some(query) => format!("{}?{query}", call.path),
            None => call.path.clone(),
        };
        let unwritable = |_| Halt::new(Reason::MalformedRequest, "cannot be written");
        let mut builder =
            http::Request::builder().method(&*call.method).uri(target).header("host", "api.test");
        for (name, value) in &call.headers {
            builder = builder.header(name, value);
        }
        let (parts, ()) = builder.body(()).map_err(unwritable)?.into_parts();
        let peer = Peer { address: [192, 0, 2, 1].into(), is_tls: true };
        let wire = Wire { parts, peer, has_body: call.body.is_some() };
        let request = receive(&self.routes, &self.rules, wire)?;
        let request = identify(&self.issuers, request, 0)?;
        let request = admit(&self.buckets, request, 0)?;
        let request = request.with_body(call.body.clone().unwrap_or_default().into());
        let request = authorize(&self.policy, request, UNIX_EPOCH)?;
        validate(request).map(drop)
    }
}

/// The other judge.
pub struct Theirs(Validator);

/// One thing that it finds wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Complaint {
    /// `query:name` as the gate writes it, or a pointer into the body.
    pub at: String,
    pub message: String,
}

impl Complaint {
    fn of(error: &ValidationError) -> Self {
        let at = match error.location {
            Location::Body => error.pointer.clone(),
            place => format!("{place}:{}{}", error.name, error.pointer),
        };
        Self { at, message: error.kind.to_string() }
    }
}

/// What it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    Accepts,
    /// What is wrong.
    Refuses(Vec<Complaint>),
    /// Nothing is known to be wrong, and something was not looked at.
    Unchecked(Vec<String>),
    NoPath,
    NoMethod,
    /// Its own reading of the document failed.
    Lost,
}

impl Theirs {
    /// Prepares a document, in [plain](crate::plain) forms.
    pub fn new(document: &Document) -> Result<Self, String> {
        let options = Options::new().base_path("").reject_undescribed_query_parameters();
        let text = plain(document).to_string();
        let spec: Spec = serde_json::from_str(&text).map_err(|error| error.to_string())?;
        Ok(Self(Validator::with_options(spec, options)))
    }

    /// What it says of a request, and the operation that it takes it for: `GET /a/{b}`.
    pub fn ask(&self, call: &Call) -> (Said, Option<String>) {
        let mut view = RequestView::new(&*call.method, &*call.path);
        if let Some(query) = &call.query {
            view = view.with_query(query.as_str());
        }
        for (name, value) in &call.headers {
            view = view.with_header(name.as_str(), value.as_str());
        }
        // Nothing on the wire tells an empty body from none.
        if let Some(body) = call.body.as_ref().filter(|body| !body.is_empty()) {
            view = view.with_body(body.as_slice());
        }
        let report = match self.0.validate(&view) {
            Ok(report) => report,
            Err(RoutingError::PathNotFound { .. }) => return (Said::NoPath, None),
            Err(RoutingError::MethodNotAllowed { .. }) => return (Said::NoMethod, None),
            Err(_) => return (Said::Lost, None),
        };
        let violations: Vec<Complaint> = report.violations().map(Complaint::of).collect();
        let unchecked: Vec<String> = report.unchecked().map(ToString::to_string).collect();
        let said = match (violations.is_empty(), unchecked.is_empty()) {
            (false, _) => Said::Refuses(violations),
            (true, false) => Said::Unchecked(unchecked),
            (true, true) => Said::Accepts,
        };
        (said, Some(format!("{} {}", report.method.to_uppercase(), report.template)))
    }
}
