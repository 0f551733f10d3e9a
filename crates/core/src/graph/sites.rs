//! Where a schema takes arguments.

use std::ops::Range;

use apollo_compiler::Node;
use apollo_compiler::ast::InputValueDefinition;
use smol_str::{SmolStr, format_smolstr};

use super::{ARGUMENT_DEPTH, Graph, offset};

/// An argument of a field, or a field of the input object that an argument takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Site {
    /// The field: `Query.user`.
    pub field: SmolStr,
    /// The argument: `id`, or `input.userId`.
    pub argument: SmolStr,
    /// Whether its type is `ID`.
    pub is_id: bool,
    /// Where it is declared, in bytes of the schema.
    pub span: Range<usize>,
}

impl Graph {
    /// All arguments of all fields, in the order of the schema, which is `sdl`.
    pub fn sites(&self, sdl: &str) -> Vec<Site> {
        let mut sites = Vec::new();
        for (parent, field) in self.definitions() {
            let coordinate = format_smolstr!("{parent}.{}", field.name);
            for argument in &field.arguments {
                self.site(sdl, &coordinate, argument.name.as_str().into(), argument, 1, &mut sites);
            }
        }
        sites
    }

    fn site(
        &self,
        sdl: &str,
        field: &SmolStr,
        argument: SmolStr,
        declared: &Node<InputValueDefinition>,
        depth: usize,
        out: &mut Vec<Site>,
    ) {
        let kind = declared.ty.inner_named_type();
        if let Some(object) = self.schema.get_input_object(kind) {
            if depth < ARGUMENT_DEPTH {
                for (name, inner) in &object.fields {
                    self.site(sdl, field, format_smolstr!("{argument}.{name}"), inner, depth + 1, out);
                }
            }
            return;
        }
        let lines = declared.name.line_column_range(&self.schema.sources);
        let span = lines.map_or(0..1, |lines| {
            let start = offset(sdl, lines.start.line, lines.start.column);
            start..start + declared.name.len()
        });
        out.push(Site { field: field.clone(), argument, is_id: kind == "ID", span });
    }
}
