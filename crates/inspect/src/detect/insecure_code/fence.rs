//! Which language a block of code is fenced as, line by line, however the text arrives.

/// A language that rules know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Language {
    /// And C++.
    C,
    CSharp,
    Go,
    /// And Kotlin, Scala, Groovy.
    Java,
    /// And TypeScript, and markup that holds scripts.
    JavaScript,
    Php,
    Python,
    Ruby,
    Rust,
    /// Commands, queries: no language of the others.
    Other,
}

/// Longest beginning of a line that can open or close a block, in bytes.
const HEAD: usize = 32;

/// The fence around the text at hand.
#[derive(Debug, Default)]
pub(crate) struct Fence {
    /// The beginning of the line at hand.
    head: Vec<u8>,
    /// The block at hand: its sign, how many of it, its language if that is known.
    open: Option<(u8, usize, Option<Language>)>,
}

impl Fence {
    /// Takes the next text.
    pub(crate) fn read(&mut self, mut bytes: &[u8]) {
        while let Some(end) = memchr::memchr(b'\n', bytes) {
            let (line, rest) = bytes.split_at_checked(end).unwrap_or((bytes, &[]));
            self.more(line);
            self.line();
            bytes = rest.get(1..).unwrap_or_default();
        }
        self.more(bytes);
    }

    /// The language of the block that the text so far ends in; `None` outside of blocks and where nobody said which.
    pub(crate) fn language(&self) -> Option<Language> {
        self.open.and_then(|(_, _, language)| language)
    }

    fn more(&mut self, line: &[u8]) {
        let room = HEAD.saturating_sub(self.head.len());
        self.head.extend_from_slice(line.get(..room).unwrap_or(line));
    }

    /// The line at hand is over.
    fn line(&mut self) {
        let head = self.head.trim_ascii();
        let sign = head.first().copied().filter(|sign| matches!(sign, b'`' | b'~'));
        let count = head.iter().take_while(|byte| Some(**byte) == sign).count();
        let info = head.get(count..).unwrap_or_default().trim_ascii();
        if let (Some(sign), 3..) = (sign, count) {
            match self.open {
                None => self.open = Some((sign, count, language(info))),
                Some((opened, least, _)) if opened == sign && count >= least && info.is_empty() => {
                    self.open = None
                }
                Some(_) => {}
            }
        }
        self.head.clear();
    }
}

/// The language that an info string names.
fn language(info: &[u8]) -> Option<Language> {
    let end = info.iter().position(|byte| byte.is_ascii_whitespace() || matches!(byte, b'{' | b',' | b':'));
    let name = info.get(..end.unwrap_or(info.len())).unwrap_or_default().to_ascii_lowercase();
    Some(match name.as_slice() {
        b"c" | b"h" | b"cpp" | b"c++" | b"cc" | b"cxx" | b"hpp" | b"objc" | b"arduino" => Language::C,
        b"cs" | b"csharp" | b"c#" | b"vb" => Language::CSharp,
        b"go" | b"golang" => Language::Go,
        b"java" | b"kotlin" | b"kt" | b"scala" | b"groovy" => Language::Java,
        b"js" | b"javascript" | b"jsx" | b"ts" | b"tsx" | b"typescript" | b"mjs" | b"node" | b"html"
        | b"vue" | b"svelte" => Language::JavaScript,
        b"php" => Language::Php,
        b"py" | b"python" | b"python3" | b"ipython" => Language::Python,
        b"rb" | b"ruby" => Language::Ruby,
        b"rs" | b"rust" => Language::Rust,
        b"sh" | b"bash" | b"shell" | b"zsh" | b"console" | b"powershell" | b"ps1" | b"sql" | b"json"
        | b"yaml" | b"yml" | b"toml" | b"css" | b"xml" => Language::Other,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fences_are_followed_however_the_text_arrives() {
        for (text, expected) in [
            ("```python\nx", Some(Language::Python)),
            ("```python\nx\n```\n", None),
            ("  ~~~ C++ {.lines}\nx", Some(Language::C)),
            ("````js\n```\nx", Some(Language::JavaScript)),
            ("```\nx", None),
            ("```brainfuck\nx", None),
            ("``python``\nx", None),
            ("```python", None),
        ] {
            for size in 1..8 {
                let mut fence = Fence::default();
                text.as_bytes().chunks(size).for_each(|piece| fence.read(piece));
                assert_eq!(fence.language(), expected, "{text:?} {size}");
            }
        }
    }
}
