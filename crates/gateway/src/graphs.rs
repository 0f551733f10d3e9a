//! From settings to a graph: its schema and its listed operations, with the place of all that is wrong.

use portcullis_core::authorize::{Bound, Owner, Place as Stands};
use portcullis_core::graph::{BoundArgument, Graph, GraphProblem, GraphRules};

use crate::config::Diagnostic;
use crate::config::settings::{self, SourceText};

/// Compiles a graph.
///
/// # Errors
/// Everything that is wrong with its schema; where that is right, with the rest.
pub(crate) fn compile(written: &settings::Graph) -> Result<Graph, Vec<Diagnostic>> {
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
    };
    let sdl: String = written.schema.iter().flat_map(|file| [&*file.text, "\n"]).collect();
    let mut graph = Graph::compile(&sdl, rules).map_err(|problems| {
        problems.iter().map(|problem| in_schema(&written.schema, problem)).collect::<Vec<_>>()
    })?;
    let mut diagnostics = Vec::new();
    for file in &written.operations {
        if let Err(problems) = graph.list(&file.text) {
            diagnostics
                .extend(problems.iter().map(|problem| at(file, &problem.span, problem, "bad-operation")));
        }
    }
    for object in &written.objects {
        let (argument, place) = &object.argument;
        if !graph.has_argument(argument) {
            let message = format!("no field of the schema has an argument `{argument}`");
            diagnostics.push(place.error("unknown-argument", message));
        }
        for (field, place) in object.fields.iter().filter(|(field, _)| !graph.has_field(field)) {
            let mut diagnostic = place.error("unknown-field", format!("the schema has no field `{field}`"));
            diagnostic.help("write it as `Type.field`");
            diagnostics.push(diagnostic);
        }
    }
    if diagnostics.is_empty() { Ok(graph) } else { Err(diagnostics) }
}

/// The files of a schema are read one after the other, as one text.
fn in_schema(files: &[SourceText], problem: &GraphProblem) -> Diagnostic {
    let mut before = 0;
    for file in files {
        let end = before + file.text.len() + 1;
        if problem.span.start < end {
            let span = problem.span.start - before..problem.span.end.saturating_sub(before);
            return at(file, &span, problem, "bad-schema");
        }
        before = end;
    }
    files
        .last()
        .map_or_else(Default::default, |file| file.place.clone())
        .error("bad-schema", problem.message.clone())
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
