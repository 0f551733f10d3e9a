//! What only a whole text tells: its language, its shape.

use serde_json::Value;

/// Letters after which a text is judged, and then after as many again.
const WINDOW: usize = 240;
/// Fewest letters of which anything can be said.
const LEAST: usize = 40;

/// Languages that a text may be in.
#[derive(Debug, Clone)]
pub struct Languages(Vec<whatlang::Lang>);

/// What is known of a text's language so far.
#[derive(Debug, Default)]
pub(super) struct Heard {
    text: String,
    letters: usize,
}

impl Languages {
    /// These languages, by their codes of ISO 639-1 or 639-3.
    ///
    /// # Errors
    /// The first code of no language that can be told.
    pub fn new<'t>(codes: impl IntoIterator<Item = &'t str>) -> Result<Self, &'t str> {
        codes.into_iter().map(|code| language(code).ok_or(code)).collect::<Result<_, _>>().map(Self)
    }

    /// Takes more of a text; the language that it is in and may not be.
    pub(super) fn hear(&self, heard: &mut Heard, text: &str) -> Option<&'static str> {
        for sign in text.chars() {
            heard.text.push(sign);
            heard.letters += usize::from(sign.is_alphabetic());
            if heard.letters == WINDOW {
                let found = self.other(&heard.text);
                *heard = Heard::default();
                if found.is_some() {
                    return found;
                }
            }
        }
        None
    }

    /// The text is over.
    pub(super) fn end(&self, heard: &Heard) -> Option<&'static str> {
        (heard.letters >= LEAST).then(|| self.other(&heard.text)).flatten()
    }

    fn other(&self, text: &str) -> Option<&'static str> {
        let info = whatlang::detect(text)?;
        let is_sure = info.is_reliable() || !self.0.iter().any(|one| scripts(*one, info.script()));
        (is_sure && !self.0.contains(&info.lang())).then(|| info.lang().code())
    }
}

/// Whether a language is written in a script.
fn scripts(language: whatlang::Lang, script: whatlang::Script) -> bool {
    script.langs().contains(&language)
}

fn language(code: &str) -> Option<whatlang::Lang> {
    const SHORT: &[(&str, &str)] = &[
        ("af", "afr"),
        ("am", "amh"),
        ("ar", "ara"),
        ("az", "aze"),
        ("be", "bel"),
        ("bg", "bul"),
        ("bn", "ben"),
        ("ca", "cat"),
        ("cs", "ces"),
        ("cy", "cym"),
        ("da", "dan"),
        ("de", "deu"),
        ("el", "ell"),
        ("en", "eng"),
        ("eo", "epo"),
        ("es", "spa"),
        ("et", "est"),
        ("fa", "pes"),
        ("fi", "fin"),
        ("fr", "fra"),
        ("gu", "guj"),
        ("he", "heb"),
        ("hi", "hin"),
        ("hr", "hrv"),
        ("hu", "hun"),
        ("hy", "hye"),
        ("id", "ind"),
        ("it", "ita"),
        ("ja", "jpn"),
        ("jv", "jav"),
        ("ka", "kat"),
        ("km", "khm"),
        ("kn", "kan"),
        ("ko", "kor"),
        ("la", "lat"),
        ("lt", "lit"),
        ("lv", "lav"),
        ("mk", "mkd"),
        ("ml", "mal"),
        ("mr", "mar"),
        ("my", "mya"),
        ("nb", "nob"),
        ("ne", "nep"),
        ("nl", "nld"),
        ("no", "nob"),
        ("or", "ori"),
        ("pa", "pan"),
        ("pl", "pol"),
        ("pt", "por"),
        ("ro", "ron"),
        ("ru", "rus"),
        ("si", "sin"),
        ("sk", "slk"),
        ("sl", "slv"),
        ("sn", "sna"),
        ("sr", "srp"),
        ("sv", "swe"),
        ("ta", "tam"),
        ("te", "tel"),
        ("th", "tha"),
        ("tk", "tuk"),
        ("tl", "tgl"),
        ("tr", "tur"),
        ("uk", "ukr"),
        ("ur", "urd"),
        ("uz", "uzb"),
        ("vi", "vie"),
        ("yi", "yid"),
        ("zh", "cmn"),
        ("zu", "zul"),
    ];
    let long = SHORT.iter().find(|(short, _)| *short == code).map_or(code, |(_, long)| long);
    whatlang::Lang::from_code(long)
}

/// The shape of a structured answer: a JSON Schema, compiled.
pub struct Shape(jsonschema::Validator);

impl Shape {
    /// Compiles a JSON Schema. References lead nowhere outside of it.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn new(schema: &Value) -> Result<Self, String> {
        let options = jsonschema::options().with_pattern_options(jsonschema::PatternOptions::regex());
        options.build(schema).map(Self).map_err(|error| error.to_string())
    }

    /// Whether a text is JSON of this shape.
    pub(super) fn fits(&self, text: &str) -> bool {
        serde_json::from_str::<Value>(text).is_ok_and(|value| self.0.is_valid(&value))
    }
}

impl std::fmt::Debug for Shape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Shape(…)")
    }
}
