//! From settings to a graph: its schema and its listed operations, with the place of all that is wrong.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;
use portcullis_core::authorize::{Bound, Owner, Place as Stands};
use portcullis_core::graph::{BoundArgument, Graph, GraphProblem, GraphRules, Site, WaivedArgument};
use smol_str::SmolStr;

use crate::config::settings::{self, SourceText};
use crate::config::{Diagnostic, Place, names_object};

/// So many unbound arguments are listed each by itself.
const LISTED: usize = 50;

/// Compiles a graph; returns it with what is worth knowing. Waivers that ended before `today` hold no more.
///
/// # Errors
/// Everything that is wrong with its schema; where that is right, with the rest.
pub(crate) fn compile(
    written: &settings::Graph,
    today: Date,
) -> Result<(Graph, Vec<Diagnostic>), Vec<Diagnostic>> {
    let bound = written.objects.iter().map(|object| BoundArgument {
        rule: Bound {
            parameter: object.argument.0.as_str().into(),
            places: vec![Stands::Path(object.argument.0.as_str().into())],
            is_declared: true,
            owner: Owner::Named,
            equals: object.equals.as_str().into(),
            unless: object.unless.clone(),
        },
        fields: object.fields.iter().map(|(field, _)| field.as_str().into()).collect(),
    });
    let rules = GraphRules {
        limits: written.limits.clone(),
        allows_introspection: written.introspection,
        listed_only: written.listed_only,
        bound: bound.collect(),
        waived: Vec::new(),
    };
    let sdl: String = written.schema.iter().flat_map(|file| [&*file.text, "\n"]).collect();
    let mut graph = Graph::compile(&sdl, rules).map_err(|problems| {
        problems.iter().map(|problem| in_schema(&written.schema, problem, "bad-schema")).collect::<Vec<_>>()
    })?;
    let mut diagnostics = Vec::new();
    for file in &written.operations {
        if let Err(problems) = graph.list(&file.text) {
            diagnostics
                .extend(problems.iter().map(|problem| at(file, &problem.span, problem, "bad-operation")));
        }
    }
    let objects = written.objects.iter().map(|object| (&object.argument, &object.fields));
    let waived = written.waivers.iter().map(|waiver| (&waiver.argument, &waiver.fields));
    for ((argument, place), fields) in objects.chain(waived) {
        if !graph.has_argument(argument) {
            let message = format!("no field of the schema has an argument `{argument}`");
            diagnostics.push(place.error("unknown-argument", message));
        }
        for (field, place) in fields.iter().filter(|(field, _)| !graph.has_field(field)) {
            let mut diagnostic = place.error("unknown-field", format!("the schema has no field `{field}`"));
            diagnostic.help("write it as `Type.field`");
            diagnostics.push(diagnostic);
        }
    }
    graph.waive(ending(written, &graph, &sdl));
    let (ended, unneeded) = waivers(written, &graph, &sdl, today);
    diagnostics.extend(ended);
    let mut warnings = unneeded;
    let unbound = unbound(written, &graph, &sdl, today);
    if written.allows_unbound && !unbound.is_empty() {
        let names: BTreeSet<&str> = unbound.keys().map(SmolStr::as_str).collect();
        let names: Vec<String> = names.into_iter().take(8).map(|name| format!("`{name}`")).collect();
        let message = format!("what names an object is not bound to its owner: {}", names.join(", "));
        let mut warning = written.place.warning("unbound-object", message);
        warning.help("bind each in `objects` or write why not in `waive`, then remove `unbound: allow`");
        warnings.push(warning);
        return if diagnostics.is_empty() { Ok((graph, warnings)) } else { Err(diagnostics) };
    }
    for (argument, sites) in unbound.iter().take(LISTED) {
        let of = sites.iter().take(4).map(|site| format!("`{}`", site.field)).collect::<Vec<_>>().join(", ");
        let message = format!("`{argument}` names an object and is bound to no owner in {of}");
        let span = sites.first().map_or(0..1, |site| site.span.clone());
        let problem = GraphProblem { span, message };
        let mut diagnostic = in_schema(&written.schema, &problem, "unbound-object");
        let name = &written.name;
        diagnostic.help(format!("bind it in `objects` of `{name}`, or say why nobody owns it in `waive`"));
        diagnostics.push(diagnostic);
    }
    if diagnostics.is_empty() { Ok((graph, warnings)) } else { Err(diagnostics) }
}

/// What is only waived for a while, and until when: by the waiver that holds longest.
fn ending(written: &settings::Graph, graph: &Graph, sdl: &str) -> Vec<WaivedArgument> {
    let sites = graph.sites(sdl).into_iter();
    let is_free = |site: &Site| {
        is_identifier(site) && !written.objects.iter().any(|one| is_meant(site, &one.argument.0, &one.fields))
    };
    let ending = sites.filter(is_free).filter_map(|site| {
        let about = written.waivers.iter().filter(|one| is_meant(&site, &one.argument.0, &one.fields));
        let ends: Option<Vec<i64>> = about.map(|waiver| waiver.until.map(settings::over)).collect();
        let until = ends?.into_iter().max()?;
        Some(WaivedArgument { argument: site.argument.as_str().into(), field: (*site.field).into(), until })
    });
    ending.collect()
}

/// Waivers that hold no more, and those that nothing needs.
fn waivers(
    written: &settings::Graph,
    graph: &Graph,
    sdl: &str,
    today: Date,
) -> (Vec<Diagnostic>, Vec<Diagnostic>) {
    let (mut ended, mut unneeded) = (Vec::new(), Vec::new());
    let sites = graph.sites(sdl);
    for waiver in &written.waivers {
        let argument = &waiver.argument.0;
        if let Some(until) = waiver.until.filter(|until| *until < today) {
            let message = format!("the waiver of `{argument}` ended on {until}");
            ended.push(waiver.place.error("waiver-ended", message));
        }
        let needs = |site: &Site| {
            is_identifier(site)
                && is_meant(site, argument, &waiver.fields)
                && !written.objects.iter().any(|one| is_meant(site, &one.argument.0, &one.fields))
        };
        if graph.has_argument(argument) && !sites.iter().any(needs) {
            let message = format!("nothing needs this waiver of `{argument}`");
            unneeded.push(waiver.place.warning("unused-waiver", message));
        }
    }
    (ended, unneeded)
}

/// Whether an argument names an object, by all that can be told.
fn is_identifier(site: &Site) -> bool {
    site.is_id || names_object(site.argument.rsplit('.').next().unwrap_or_default())
}

/// Whether a rule about an argument is about this one.
fn is_meant(site: &Site, argument: &str, fields: &[(String, Place)]) -> bool {
    argument == site.argument && (fields.is_empty() || fields.iter().any(|(one, _)| *one == *site.field))
}

/// Arguments that name objects and are neither bound nor waived, and where they are.
fn unbound(written: &settings::Graph, graph: &Graph, sdl: &str, today: Date) -> BTreeMap<SmolStr, Vec<Site>> {
    let mut unbound: BTreeMap<SmolStr, Vec<Site>> = BTreeMap::new();
    for site in graph.sites(sdl) {
        let is_bound = written.objects.iter().any(|one| is_meant(&site, &one.argument.0, &one.fields));
        let is_waived = written.waivers.iter().any(|one| {
            is_meant(&site, &one.argument.0, &one.fields) && one.until.is_none_or(|until| today <= until)
        });
        if is_identifier(&site) && !is_bound && !is_waived {
            unbound.entry(site.argument.clone()).or_default().push(site);
        }
    }
    unbound
}

/// The files of a schema are read one after the other, as one text.
fn in_schema(files: &[SourceText], problem: &GraphProblem, code: &'static str) -> Diagnostic {
    let mut before = 0;
    for file in files {
        let end = before + file.text.len() + 1;
        if problem.span.start < end {
            let span = problem.span.start - before..problem.span.end.saturating_sub(before);
            return at(file, &span, problem, code);
        }
        before = end;
    }
    files.last().map_or_else(Default::default, |file| file.place.clone()).error(code, problem.message.clone())
}

fn at(
    file: &SourceText,
    span: &std::ops::Range<usize>,
    problem: &GraphProblem,
    code: &'static str,
) -> Diagnostic {
    let length = span.end.saturating_sub(span.start).max(1);
    file.at(span.start, length).error(code, problem.message.clone())
}
