//! Services of gRPC: a descriptor set takes the place of the contract, and is one for all that follows.

use std::sync::Arc;

use portcullis_core::grpc::Schema;
use portcullis_core::validate::Told;

use super::Checker;
use super::judges::Reads;
use super::routes::Used;
use super::upstream::Defaults;
use crate::config::contract::Contract;
use crate::config::file;
use crate::config::read::At;
use crate::config::settings::{
    Api, Check, Detectors, Level, Object, ObjectOwner, SourceText, Upstream, Waiver,
};

impl Checker<'_, '_> {
    pub(super) fn grpc(
        &mut self,
        name: &At<String>,
        written: file::Grpc,
        used: &mut Used<'_>,
    ) -> Option<Api> {
        let descriptors = written.descriptors.as_ref();
        let read = descriptors.and_then(|at| self.descriptors(at, written.services.as_deref()));
        if let (Some((schema, _)), Some(at)) = (&read, descriptors) {
            self.services(schema, name, at, used);
        }
        let names = read.as_ref().map(|(_, contract)| contract.names());
        let identify = written.identify.and_then(|identify| self.identify(identify, used));
        let upstream = written.upstream.and_then(|upstream| self.grpc_upstream(upstream));
        let forwards = written.forward_credential.unwrap_or(false);
        let own = upstream.as_ref().and_then(|upstream| upstream.credential.as_ref());
        if forwards && own.is_some_and(|own| own.header == http::header::AUTHORIZATION) {
            self.error("contradiction", name.at, "both the client's and the gate's credential would be sent")
                .help("leave out `forward_credential`, or name another `header` in `credential`");
        }
        let objects = self.objects(written.objects, names.as_ref());
        self.only_of_requests(&objects);
        let waivers = self.waivers(written.waive, names.as_ref());
        if let Some((schema, _)) = &read {
            self.not_of_streams(schema, &objects, &waivers);
        }
        let budgets = self.budgets(written.budgets, names.as_ref(), identify.as_ref());
        let body_limits = written.operations.0.0.into_iter().filter_map(|(operation, rules)| {
            self.operation(&operation, names.as_ref());
            Some((operation.value, rules.body_limit?.0))
        });
        let body_limits = body_limits.collect();
        let inspect = self.detectors(written.inspect.as_ref(), Detectors::INSPECT, Reads::Bodies);
        let screen = self.detectors(written.screen.as_ref(), Detectors::SCREEN, Reads::Bodies);
        self.no_redaction(name, &inspect, &screen);
        let allows_unknown = written.unknown == Some(file::Tolerance::Allow);
        let (schema, contract) = read?;
        Some(Api {
            name: name.value.clone(),
            contract,
            grpc: Some(Arc::new(schema)),
            base_path: String::new(),
            upstream: upstream?,
            identify: identify?,
            forward_credential: forwards,
            authorize: written.authorize != Some(file::Authorize::None),
            hide: written.hide.unwrap_or(false),
            objects,
            waivers,
            allows_unbound: written.unbound == Some(file::Unbound::Allow),
            exposures: Vec::new(),
            budgets,
            allow_unknown_fields: allows_unknown,
            allow_unknown_parameters: false,
            allow_unknown_answers: allows_unknown,
            ignore_security: true,
            violations: match written.violations {
                None | Some(file::Violations::All) => Told::All,
                Some(file::Violations::Identified) => Told::Identified,
                Some(file::Violations::None) => Told::Nobody,
            },
            validate_requests: written.requests != Some(file::Requests::None),
            answers: match written.answers {
                None | Some(file::GrpcAnswers::Enforce) => Check::Enforce,
                Some(file::GrpcAnswers::Observe) => Check::Observe,
                Some(file::GrpcAnswers::None) => Check::None,
            },
            body_limit: written.body_limit.map_or(4 << 20, |size| size.0),
            body_limits,
            websocket: false,
            inspect,
            screen,
            place: self.report.place(name.at),
        })
    }

    /// The descriptor set with the services that are asked for, and the document that says the same.
    fn descriptors(
        &mut self,
        written: &At<String>,
        services: Option<&[At<String>]>,
    ) -> Option<(Schema, Contract)> {
        let path = self.loader.path(&written.value);
        let bytes = self.loader.bytes(&path, written.at, self.report)?;
        let mut schema = match Schema::parse(&bytes) {
            Ok(schema) => schema,
            Err(fault) => {
                let help =
                    "`protoc --include_imports --descriptor_set_out=FILE` or `buf build -o FILE` makes one";
                self.error("bad-contract", written.at, format!("`{}`: {fault}", written.value)).help(help);
                return None;
            }
        };
        if let Some(services) = services {
            if services.is_empty() {
                self.error("empty-list", written.at, "no service may be called")
                    .help("leave `services` out to mean all of them");
            }
            for service in services {
                let known = schema.services();
                if !known.contains(&service.value.as_str()) {
                    let message = format!("the descriptor set has no service `{}`", service.value);
                    self.error("unknown-operation", service.at, message).nearest(&service.value, known);
                }
            }
            schema.retain(|method| services.iter().any(|service| *service.value == *method.service));
        }
        let source = SourceText {
            path,
            name: written.value.as_str().into(),
            text: "".into(),
            place: self.report.place(written.at),
        };
        let document = Arc::new(schema.document(true));
        Some((schema, Contract { source, document }))
    }

    /// Nothing is looked up for the messages of a stream.
    fn not_of_streams(&mut self, schema: &Schema, objects: &[Object], waivers: &[Waiver]) {
        for method in schema.methods().iter().filter(|method| method.streams_requests) {
            let id = method.id();
            let is_for = |operations: &[String]| operations.is_empty() || operations.contains(&id);
            let is_lookup = |object: &&Object| matches!(object.owner, Some(ObjectOwner::Lookup(_)));
            for object in objects.iter().filter(is_lookup).filter(|object| is_for(&object.operations)) {
                let is_waived =
                    |waiver: &Waiver| waiver.parameter == object.parameter && is_for(&waiver.operations);
                let has_field = schema.fields_of(method).any(|(name, _)| *name == *object.parameter);
                if has_field && !waivers.iter().any(is_waived) {
                    let message = format!(
                        "every call of `{id}` is refused: nothing is looked up for `{}` in a stream of messages",
                        object.parameter
                    );
                    self.warning("unsupported", object.place.at, message)
                        .help("compare it with a claim, or waive it for this method in `waive`");
                }
            }
        }
    }

    /// A service can lead to one place only.
    fn services(&mut self, schema: &Schema, name: &At<String>, at: &At<String>, used: &mut Used<'_>) {
        for service in schema.services() {
            let known = used.services.iter().find(|(known, _, _)| *known == service);
            match known.cloned() {
                Some((_, other, line)) => {
                    let message = format!("`{other}` has the service `{service}` as well");
                    let help = format!("it is on line {line}; name others in `services`");
                    self.error("repeated-base-path", at.at, message).help(help);
                }
                None => used.services.push((service.to_owned(), name.value.clone(), name.at.line)),
            }
        }
    }

    fn grpc_upstream(&mut self, written: At<file::Either<String, file::Upstream>>) -> Option<Upstream> {
        if let file::Either::Long(upstream) = &written.value
            && upstream.http2 == Some(false)
        {
            self.error("contradiction", written.at, "gRPC is spoken over HTTP/2")
                .help("leave out `http2: false`");
        }
        let upstream = self.upstream(written, Defaults::API)?;
        Some(Upstream { http2: true, ..upstream })
    }

    /// What only a JSON body or answer could prove is not proven.
    fn only_of_requests(&mut self, objects: &[Object]) {
        for object in objects {
            let is_of_request =
                matches!(object.owner, None | Some(ObjectOwner::Named | ObjectOwner::Lookup(_)));
            if object.list.is_some() || !is_of_request || !object.also.is_empty() {
                let at = object.place.at;
                self.error("unsupported", at, "an object of gRPC is proven by the request itself")
                    .expected("`parameter` with `owner: \"claim:…\"`, `tenant` or `lookup`");
            }
        }
    }

    fn no_redaction(&mut self, name: &At<String>, inspect: &Detectors, screen: &Detectors) {
        let levels =
            |one: &Detectors| [one.pii, one.secrets, one.injection, one.active_content, one.links, one.code];
        let rewrites = |level| matches!(level, Level::Mask | Level::Tokenise | Level::Redact);
        if levels(inspect).into_iter().chain(levels(screen)).any(rewrites) {
            self.error("unsupported", name.at, "nothing can be redacted in messages of gRPC")
                .expected("`off`, `observe` or `block`");
        }
    }
}
