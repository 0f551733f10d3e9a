//! What every page for a browser is made of: it loads nothing and runs nothing, and what it shows is escaped.

use std::fmt::Write as _;

/// The beginning of a page, with its title as its first heading.
pub(crate) fn begin(title: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>{title}</title>\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <style>body{{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:72rem;padding:0 1rem}}\
         table{{border-collapse:collapse;width:100%}}th,td{{text-align:left;padding:.3rem .6rem;\
         border-bottom:1px solid #ccc;vertical-align:top}}th{{font-weight:600}}code,pre{{font:13px ui-monospace,monospace}}\
         pre{{background:#f4f4f4;padding:1rem;overflow:auto}}.never,.ended{{background:#fde8e8}}.partly,.ends{{background:#fff5d6}}\
         @media(prefers-color-scheme:dark){{body{{background:#16181c;color:#e6e6e6}}pre{{background:#22252b}}\
         th,td{{border-color:#3a3f47}}.never,.ended{{background:#4a2326}}.partly,.ends{{background:#463b16}}}}</style>\n\
         <h1>{title}</h1>\n"
    )
}

/// The items, or `none`.
pub(crate) fn listed<T: AsRef<str>>(items: &[T]) -> String {
    if items.is_empty() {
        return "none".to_owned();
    }
    items.iter().map(AsRef::as_ref).collect::<Vec<&str>>().join(", ")
}

/// Adds a table under a heading, unless it has no rows.
pub(crate) fn table(out: &mut String, title: &str, heads: &[&str], rows: impl Iterator<Item = String>) {
    let rows: String = rows.collect();
    if rows.is_empty() {
        return;
    }
    let heads: String = heads.iter().map(|head| format!("<th>{head}</th>")).collect();
    let _ = writeln!(out, "<h2>{title}</h2>\n<table><tr>{heads}</tr>\n{rows}</table>");
}

/// One row of a table.
pub(crate) fn row(class: &str, cells: &[&str]) -> String {
    let cells: String = cells.iter().map(|cell| format!("<td>{}</td>", escaped(cell))).collect();
    format!("<tr class=\"{class}\">{cells}</tr>\n")
}

/// A text that cannot leave its place in a page.
pub(crate) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
