//! What can be said of a statement of SQL without a server: where its text ends, its strings and comments, and which
//! parameters it has. The rest is the server's to say.

/// Why a statement cannot look up an owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum QueryError {
    /// Nothing but blanks and comments.
    #[error("the query is empty")]
    Empty,
    /// It begins with something else.
    #[error("a lookup reads: its query begins with `select`, `with`, `values` or `table`")]
    NoReading,
    /// A string, a quoted name or a comment has no end.
    #[error("a string, a quoted name or a comment in the query has no end")]
    Open,
    /// More than one.
    #[error("the query holds more than one statement")]
    Several,
    /// The identifier has no place in it.
    #[error("the query has no `$1` for the identifier outside of strings and comments")]
    NoParameter,
    /// There is one identifier.
    #[error("the query has a parameter `${0}`, and there is only `$1`, the identifier")]
    Parameter(u32),
    /// It cannot be sent.
    #[error("the query holds a character that cannot be sent")]
    Character,
}

/// Whether this can be one statement that reads and whose one parameter is `$1` (PostgreSQL's manual, section 4.1).
///
/// # Errors
/// What it is instead.
pub(crate) fn expect_lookup(text: &str) -> Result<(), QueryError> {
    if text.contains('\0') {
        return Err(QueryError::Character);
    }
    let mut scan = Scan { rest: text, first: None, has_identifier: false, has_ended: false };
    while !scan.rest.is_empty() {
        scan.step()?;
    }
    match scan.first.as_deref() {
        None => Err(QueryError::Empty),
        Some("select" | "with" | "values" | "table") if scan.has_identifier => Ok(()),
        Some("select" | "with" | "values" | "table") => Err(QueryError::NoParameter),
        Some(_) => Err(QueryError::NoReading),
    }
}

struct Scan<'t> {
    rest: &'t str,
    /// The first word; empty for what is none.
    first: Option<String>,
    has_identifier: bool,
    has_ended: bool,
}

impl<'t> Scan<'t> {
    fn step(&mut self) -> Result<(), QueryError> {
        let rest = self.rest;
        if rest.starts_with(char::is_whitespace) {
            self.rest = rest.trim_start();
            return Ok(());
        }
        if let Some(comment) = rest.strip_prefix("--") {
            self.rest = comment.find(['\n', '\r']).and_then(|end| comment.get(end..)).unwrap_or_default();
            return Ok(());
        }
        if let Some(comment) = rest.strip_prefix("/*") {
            self.rest = after_comment(comment).ok_or(QueryError::Open)?;
            return Ok(());
        }
        if let Some(after) = rest.strip_prefix(';') {
            self.has_ended = true;
            self.rest = after;
            return Ok(());
        }
        if self.has_ended {
            return Err(QueryError::Several);
        }
        let word = word(rest);
        if self.first.is_none() && !rest.starts_with('(') {
            self.first = Some(word.to_ascii_lowercase());
        }
        let after = |length: usize| rest.get(length..).unwrap_or_default();
        self.rest = if let Some(text) = rest.strip_prefix('\'') {
            after_quote(text, '\'', false).ok_or(QueryError::Open)?
        } else if let Some(name) = rest.strip_prefix('"') {
            after_quote(name, '"', false).ok_or(QueryError::Open)?
        } else if word.eq_ignore_ascii_case("e") && after(1).starts_with('\'') {
            after_quote(after(2), '\'', true).ok_or(QueryError::Open)?
        } else if !word.is_empty() {
            after(word.len())
        } else if let Some(dollar) = rest.strip_prefix('$') {
            self.dollar(dollar)?
        } else {
            after(rest.chars().next().map_or(0, char::len_utf8))
        };
        Ok(())
    }

    /// What follows a `$` that is within no word: a number, or the tag of a string.
    fn dollar(&mut self, rest: &'t str) -> Result<&'t str, QueryError> {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        if let Some(number) = rest.get(..digits).filter(|number| !number.is_empty()) {
            let number: u32 = number.parse().unwrap_or(u32::MAX);
            if number != 1 {
                return Err(QueryError::Parameter(number));
            }
            self.has_identifier = true;
            return Ok(rest.get(digits..).unwrap_or_default());
        }
        let Some((tag, text)) = rest.split_once('$').filter(|(tag, _)| word(tag).len() == tag.len()) else {
            return Ok(rest);
        };
        let end = format!("${tag}$");
        text.split_once(&end).map(|(_, after)| after).ok_or(QueryError::Open)
    }
}

/// The word or number at the beginning of a text; a word may hold `$`, but not begin with it.
fn word(text: &str) -> &str {
    let is_first = |c: char| c.is_alphanumeric() || c == '_';
    let end = text.find(|c: char| !(is_first(c) || c == '$')).unwrap_or(text.len());
    text.get(..end).filter(|word| word.starts_with(is_first)).unwrap_or_default()
}

/// What follows a string; a quote that is written twice stands for itself.
fn after_quote(text: &str, quote: char, has_escapes: bool) -> Option<&str> {
    let mut rest = text.char_indices().peekable();
    while let Some((at, found)) = rest.next() {
        if has_escapes && found == '\\' {
            rest.next();
        } else if found == quote && rest.next_if(|(_, next)| *next == quote).is_none() {
            return text.get(at.saturating_add(1)..);
        }
    }
    None
}

/// What follows a comment; comments nest.
fn after_comment(text: &str) -> Option<&str> {
    let mut depth = 1_usize;
    let mut rest = text;
    while depth > 0 {
        let at = rest.find(['/', '*'])?;
        rest = rest.get(at..)?;
        rest = if let Some(after) = rest.strip_prefix("/*") {
            depth = depth.saturating_add(1);
            after
        } else if let Some(after) = rest.strip_prefix("*/") {
            depth = depth.saturating_sub(1);
            after
        } else {
            rest.get(1..)?
        };
    }
    Some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_statement_with_one_parameter() {
        let check = |text: &str, expected: Result<(), QueryError>| {
            assert_eq!(expect_lookup(text), expected, "{text}");
        };
        for right in [
            "select owner from orders where id = $1",
            "SELECT owner FROM orders WHERE id=$1::bigint;",
            "  -- whose\n/* a /* nested */ one */ with o as (select 1) select owner from o where id = $1 ; -- end",
            "(select owner from a where id = $1 union select owner from b where id = $1)",
            "select owner from \"Orders;$2\" where id = $1 and kind = 'a;''$2'",
            "select owner from orders where id = $1 and note = E'\\';$2' and x = $$;$2$$ and y = $t$ $$ $2 $t$",
            "select a$2 from orders where id = $1",
            "select 'é', \"é\" where é = $1",
        ] {
            check(right, Ok(()));
        }
        check("", Err(QueryError::Empty));
        check(" -- nothing $1", Err(QueryError::Empty));
        check("select owner from orders where id = '$1'", Err(QueryError::NoParameter));
        check("select owner from orders where id = 1 -- $1", Err(QueryError::NoParameter));
        check("select owner from orders where id = $$ $1 $$", Err(QueryError::NoParameter));
        check("select owner from orders where id = $1 and tenant = $2", Err(QueryError::Parameter(2)));
        check("select owner from orders where id = $0", Err(QueryError::Parameter(0)));
        check("select $99999999999", Err(QueryError::Parameter(u32::MAX)));
        check("select owner from orders where id = $1; drop table orders", Err(QueryError::Several));
        check("select owner from orders where id = $1; ; select 2", Err(QueryError::Several));
        check("delete from orders where id = $1 returning owner", Err(QueryError::NoReading));
        check("'select' $1", Err(QueryError::NoReading));
        for open in
            ["select 'a", "select \"a", "select E'\\'", "select /* /* */ $1", "select $t$ $t", "select 'a''"]
        {
            check(open, Err(QueryError::Open));
        }
        check("select $1\0", Err(QueryError::Character));
    }

    proptest::proptest! {
        #[test]
        fn no_text_is_too_strange(text in "(select |\\$1|\\$|'|\"|--|/\\*|\\*/|;|e|E|\\\\|\n|é|a){0,40}") {
            let _ = expect_lookup(&text);
        }
    }
}
