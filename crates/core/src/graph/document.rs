//! A document of a client: read, measured, validated, each once.

use std::sync::OnceLock;

use apollo_compiler::ast::{self, Definition, DirectiveList, OperationDefinition, Selection, Value};
use apollo_compiler::diagnostic::Diagnostic;
use apollo_compiler::parser::Parser;
use apollo_compiler::validation::{DiagnosticData, DiagnosticList, Valid};
use apollo_compiler::{ExecutableDocument, Node};

use super::{Fault, Graph, GraphLimits, measure};
use crate::contract::shelf::MOST_VIOLATIONS;
use crate::halt::{Reason, Violation};

/// A document that was read.
#[derive(Debug)]
pub(super) struct Document {
    ast: ast::Document,
    canonical: Box<str>,
    /// The canonical text as a JSON string.
    quoted: Box<str>,
    literals: Vec<String>,
    executable: OnceLock<Result<Valid<ExecutableDocument>, Fault>>,
}

impl Document {
    /// Reads a text, no further than the limits allow.
    pub(super) fn parse(text: &str, limits: &GraphLimits) -> Result<Self, Fault> {
        let mut parser = Parser::new().recursion_limit(measure::NESTING).token_limit(limits.tokens);
        let ast = match parser.parse_ast(text, "query") {
            Ok(ast) => ast,
            Err(_) if parser.tokens_reached() > limits.tokens => {
                return Err(Fault::limit("query", format!("it has more than {} tokens", limits.tokens)));
            }
            Err(_) if parser.recursion_reached() > measure::NESTING => {
                return Err(Fault::limit("query", "it is nested too deeply"));
            }
            Err(error) => return Err(invalid(Reason::BodyMalformed, &error.errors)),
        };
        let mut literals = Vec::new();
        for definition in &ast.definitions {
            match definition {
                Definition::OperationDefinition(operation) => {
                    for variable in &operation.variables {
                        variable.default_value.iter().for_each(|value| strings(value, &mut literals));
                        in_directives(&variable.directives, &mut literals);
                    }
                    in_directives(&operation.directives, &mut literals);
                    in_selections(&operation.selection_set, &mut literals);
                }
                Definition::FragmentDefinition(fragment) => {
                    in_directives(&fragment.directives, &mut literals);
                    in_selections(&fragment.selection_set, &mut literals);
                }
                _ => return Err(Fault::at(Reason::BodyInvalid, "query", "only operations may be sent")),
            }
        }
        let canonical = ast.serialize().no_indent().to_string();
        let quoted = serde_json::to_string(&canonical)
            .map_err(|error| Fault::new(Reason::Internal, error.to_string()))?;
        let executable = OnceLock::new();
        Ok(Self { ast, canonical: canonical.into(), quoted: quoted.into(), literals, executable })
    }

    pub(super) fn ast(&self) -> &ast::Document {
        &self.ast
    }

    pub(super) fn canonical(&self) -> &str {
        &self.canonical
    }

    pub(super) fn quoted(&self) -> &str {
        &self.quoted
    }

    pub(super) fn literals(&self) -> &[String] {
        &self.literals
    }

    /// The operation of that name, or the only one.
    pub(super) fn operation(&self, name: Option<&str>) -> Result<&Node<OperationDefinition>, Fault> {
        let mut all = self.ast.definitions.iter().filter_map(Definition::as_operation_definition);
        let unknown = |message| Fault::at(Reason::BodyInvalid, "operationName", message);
        match name {
            Some(name) => all
                .find(|one| one.name.as_ref().is_some_and(|own| own == name))
                .ok_or_else(|| unknown("there is no such operation")),
            None => match (all.next(), all.next()) {
                (Some(only), None) => Ok(only),
                (None, _) => Err(unknown("there is no operation")),
                (Some(_), Some(_)) => Err(unknown("there is more than one operation")),
            },
        }
    }

    /// Holds it to the limits that need no schema.
    pub(super) fn measure(&self, limits: &GraphLimits) -> Result<(), Fault> {
        measure::check(&self.ast, limits)
    }

    /// As it was validated; `None` where it was not, or is not valid.
    pub(super) fn validated(&self) -> Option<&Valid<ExecutableDocument>> {
        self.executable.get()?.as_ref().ok()
    }

    /// Validated against the schema. INVARIANT: it was measured before.
    pub(super) fn executable(&self, graph: &Graph) -> Result<&Valid<ExecutableDocument>, Fault> {
        let validated = self.executable.get_or_init(|| {
            let validated = self.ast.to_executable_validate(&graph.schema);
            validated.map_err(|error| invalid(Reason::BodyInvalid, &error.errors))
        });
        validated.as_ref().map_err(Clone::clone)
    }
}

/// The mistakes, without those that only follow from others: a field that does not exist is left out of the
/// selections, and then these look as if they were empty.
pub(super) fn mistakes(errors: &DiagnosticList) -> impl Iterator<Item = Diagnostic<'_, DiagnosticData>> {
    let is = |one: &Diagnostic<'_, DiagnosticData>, name| one.error.unstable_error_name() == Some(name);
    let has_unknown = errors.iter().any(|one| is(&one, "UndefinedField"));
    errors.iter().filter(move |one| !(has_unknown && is(one, "MissingSubselection")))
}

/// What is wrong, by place: the client is told what kind of mistake it is, and nothing of the schema.
fn invalid(reason: Reason, errors: &DiagnosticList) -> Fault {
    let mut violations = Vec::new();
    let mut detail = String::new();
    for one in mistakes(errors).take(MOST_VIOLATIONS) {
        let at = one.line_column_range().map_or_else(
            || "query".to_owned(),
            |range| format!("query:{}:{}", range.start.line, range.start.column),
        );
        detail.push_str(if detail.is_empty() { "" } else { "; " });
        detail.push_str(&at);
        detail.push(' ');
        // One long name is enough to know.
        detail.extend(one.error.to_string().chars().take(200));
        violations.push(Violation { at, message: kind(one.error.unstable_error_name()).to_owned() });
    }
    Fault { reason, detail, violations }
}

/// The kinds of mistakes, in words that quote nothing.
fn kind(name: Option<&str>) -> &'static str {
    match name {
        Some("UndefinedField") => "there is no such field",
        Some("UndefinedArgument") => "there is no such argument",
        Some("RequiredArgument") => "an argument is missing",
        Some("RequiredField" | "UndefinedInputValue" | "UniqueInputValue") => {
            "an input object is not as declared"
        }
        Some("UndefinedVariable") => "a variable is not declared",
        Some("UnusedVariable") => "a variable is not used",
        Some("UndefinedFragment") => "there is no such fragment",
        Some("UnusedFragment") => "a fragment is not used",
        Some("RecursiveFragmentDefinition") => "a fragment is spread within itself",
        Some("UndefinedDirective" | "UnsupportedLocation" | "UniqueDirective") => {
            "a directive cannot stand here"
        }
        Some("UndefinedEnumValue" | "UnsupportedValueType" | "IntCoercionError" | "FloatCoercionError") => {
            "a value is of another type"
        }
        Some("DisallowedVariableUsage" | "VariableInputType") => "a variable is of another type",
        Some("MissingSubselection") => "fields must be selected",
        Some("SubselectionOnScalarType" | "SubselectionOnEnumType") => "no fields can be selected",
        Some("ConflictingFieldType" | "ConflictingFieldName" | "ConflictingFieldArgument") => {
            "two selections have the same name and differ"
        }
        None => "this is not GraphQL",
        Some(_) => "this is not valid",
    }
}

fn in_selections(selections: &[Selection], out: &mut Vec<String>) {
    for selection in selections {
        match selection {
            Selection::Field(field) => {
                in_directives(&field.directives, out);
                field.arguments.iter().for_each(|argument| strings(&argument.value, out));
                in_selections(&field.selection_set, out);
            }
            Selection::InlineFragment(inline) => {
                in_directives(&inline.directives, out);
                in_selections(&inline.selection_set, out);
            }
            Selection::FragmentSpread(spread) => in_directives(&spread.directives, out),
        }
    }
}

fn in_directives(directives: &DirectiveList, out: &mut Vec<String>) {
    let arguments = directives.iter().flat_map(|directive| &directive.arguments);
    arguments.for_each(|argument| strings(&argument.value, out));
}

fn strings(value: &Value, out: &mut Vec<String>) {
    match value {
        Value::String(text) if !text.is_empty() => out.push(text.clone()),
        Value::List(items) => items.iter().for_each(|item| strings(item, out)),
        Value::Object(fields) => fields.iter().for_each(|(_, item)| strings(item, out)),
        Value::Int(number) if number.as_str().len() > 12 => out.push(number.as_str().to_owned()),
        _ => {}
    }
}
