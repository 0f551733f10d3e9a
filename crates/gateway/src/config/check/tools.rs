//! Tool servers: paths, what they offer, from where they may be called, who may come.

use http::Uri;
use portcullis_core::mcp::Callable;
use portcullis_core::validate::Told;

use super::Checker;
use super::judges::Reads;
use super::routes::{Used, below};
use super::upstream::Defaults;
use crate::config::file;
use crate::config::read::At;
use crate::config::settings::{Detectors, ToolServer, Upstream};

/// Longest name of a tool or a prompt, in bytes.
const LONGEST_NAME: usize = 128;

impl Checker<'_, '_> {
    pub(super) fn tool_server(
        &mut self,
        name: &At<String>,
        written: file::ToolServer,
        used: &mut Used<'_>,
    ) -> Option<ToolServer> {
        let path = written.path.unwrap_or(At { at: name.at, value: "/mcp".to_owned() });
        let path_at = path.at;
        let path = self.base_path(name, Some(path), used);
        if path.as_deref() == Some("") {
            self.error("bad-path", path_at, "a tool server has one path, and `/` is none")
                .expected("a path such as `/mcp`");
        }
        let path = path.filter(|path| !path.is_empty());
        let identify = written.identify.and_then(|identify| self.identify(identify, used));
        let upstream = written.upstream.and_then(|upstream| self.upstream(upstream, Defaults::TOOLS));
        let upstream = upstream
            .zip(path.as_deref())
            .map(|(upstream, path)| Upstream { url: below(&upstream.url, path), ..upstream });
        for budget in &written.budgets {
            if let Some(operation) = budget.value.operations.iter().flatten().next() {
                self.error("bad-value", operation.at, "budgets are taken before a message is read")
                    .help("leave `operations` out");
            }
        }
        let budgets = self.budgets(written.budgets, None, identify.as_ref());
        let forward_credential = written.forward_credential.unwrap_or(false);
        let own = upstream.as_ref().and_then(|upstream| upstream.credential.as_ref());
        if forward_credential && own.is_some_and(|own| own.header == http::header::AUTHORIZATION) {
            self.error("contradiction", name.at, "both the client's and the gate's credential would be sent")
                .help("leave out `forward_credential`, or name another `header` in `credential`");
        }
        let lets_unlisted = written.unlisted == Some(file::Tolerance::Allow);
        let tools = self.offers(written.tools, false);
        let prompts = self.offers(written.prompts, true);
        if tools.is_empty() && !lets_unlisted {
            self.warning("nothing-offered", name.at, format!("no tool of `{}` can be called", name.value))
                .help("list them in `tools`, or write `unlisted: allow`");
        }
        let unknown = written.unknown.unwrap_or_default();
        let methods = unknown.methods.into_iter().flatten();
        let methods: Vec<_> = methods.filter_map(|method| self.method(method)).collect();
        let origins = written.origins.into_iter().filter_map(|origin| self.origin(&origin)).collect();
        Some(ToolServer {
            name: name.value.clone(),
            path: path?,
            upstream: upstream?,
            identify: identify?,
            forward_credential,
            authorize: written.authorize != Some(file::Authorize::None),
            hide: written.hide.unwrap_or(false),
            tools,
            prompts,
            lets_unlisted,
            methods,
            lets_unknown_fields: unknown.fields == Some(file::Tolerance::Allow),
            origins,
            budgets,
            violations: match written.violations {
                None | Some(file::Violations::All) => Told::All,
                Some(file::Violations::Identified) => Told::Identified,
                Some(file::Violations::None) => Told::Nobody,
            },
            body_limit: written.body_limit.map_or(1 << 20, |size| size.0),
            arguments: self.detectors(written.arguments.as_ref(), Detectors::ARGUMENTS, Reads::Bodies),
            results: self.detectors(written.results.as_ref(), Detectors::RESULTS, Reads::Bodies),
            place: self.report.place(name.at),
        })
    }

    fn offers(&mut self, written: file::Offers, reads: bool) -> Vec<Callable> {
        let mut offers = Vec::new();
        for (name, offer) in written.0.0 {
            let is_plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b'/');
            let is_name = !name.value.is_empty() && name.value.len() <= LONGEST_NAME;
            if !is_name || !name.value.bytes().all(is_plain) {
                self.error("bad-name", name.at, format!("`{}` cannot be a name", name.value))
                    .expected("at most 128 of A-Z, a-z, 0-9, `_`, `-`, `.` and `/`");
                continue;
            }
            offers.push(Callable { name: name.value.into(), reads: offer.reads.unwrap_or(reads) });
        }
        offers
    }

    /// A method that no table knows.
    fn method(&mut self, written: At<String>) -> Option<smol_str::SmolStr> {
        let is_plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'/');
        let is_method = written.value.len() <= LONGEST_NAME && written.value.bytes().all(is_plain);
        if !is_method || written.value.split('/').any(str::is_empty) {
            self.error("bad-value", written.at, format!("`{}` is no method", written.value))
                .expected("a method such as `tasks/get`");
            return None;
        }
        Some(written.value.into())
    }

    /// A web origin in lower case (RFC 6454).
    fn origin(&mut self, written: &At<String>) -> Option<Box<str>> {
        let url = written.value.parse::<Uri>().ok();
        let is_origin = url.as_ref().is_some_and(|url| {
            matches!(url.scheme_str(), Some("http" | "https"))
                && url.authority().is_some_and(|authority| !authority.as_str().contains('@'))
                && matches!(url.path(), "" | "/")
                && url.query().is_none()
        });
        if !is_origin || written.value.ends_with('/') {
            self.error("bad-value", written.at, format!("`{}` is no origin", written.value))
                .expected("a scheme and a host such as `https://app.example.com`, without a path");
            return None;
        }
        Some(written.value.to_ascii_lowercase().into())
    }
}
