//! Code that is dangerous by the look of one line: shells and evaluators, SQL that is put together from parts, objects read
//! from bytes, certificates that are not checked, weak digests, calls that overflow, commands that destroy.
//!
//! Each pattern lies within one line, so nothing more than a line is held. In a block that says which language it is in, the
//! rules of that language count and those of all; elsewhere every rule does, as code without a fence is as dangerous.
//! Evidence names the weakness (CWE) and the line of the text.

mod fence;
mod rules;

use std::sync::LazyLock;

pub(crate) use self::fence::{Fence, Language};
use self::rules::{EVAL, RULES, SHELL_CALL};
use super::cursor::Cursor;
use super::phrase::Phrases;
use super::secret::is_stand_in;
use super::{Bytes, Probe, Start, is_no_word};

fn quoted(byte: u8) -> bool {
    matches!(byte, b'"' | b'\'' | b'`')
}

/// Behind a part of a name: `san_password`, `reset_token`.
fn is_no_letter(byte: u8) -> bool {
    byte == b'_' || is_no_word(byte)
}

pub(super) const STARTS: &[Start] = &[
    Start {
        left: is_no_word,
        bytes: Bytes::Words(&[b"os.", b"obj", b"sub", b"she", b"ser", b"ssl", b"set", b"sim"]),
    },
    Start {
        left: is_no_word,
        bytes: Bytes::Words(&[b"sys", b"str", b"spr", b"sca", b"sha", b"sta", b"soa", b"sen"]),
    },
    Start { left: is_no_word, bytes: Bytes::Words(&[b"exe", b"eva", b"evp", b"ech", b"sh ", b"zsh"]) },
    Start {
        left: is_no_word,
        bytes: Bytes::Words(&[b"pop", b"pic", b"pos", b"pro", b"cpi", b"par", b"pas"]),
    },
    Start {
        left: is_no_word,
        bytes: Bytes::Words(&[b"run", b"rej", b"rm ", b"bin", b"bas", b"blo", b"rmt"]),
    },
    Start {
        left: is_no_word,
        bytes: Bytes::Words(&[b"chi", b"cip", b"cur", b"cre", b"chm", b"com", b"che", b"csr", b"cla"]),
    },
    Start {
        left: is_no_word,
        bytes: Bytes::Words(&[
            b"new", b"nod", b"mar", b"mes", b"md5", b"mkf", b"yam", b"net", b"noo", b"md4", b"mkt",
        ]),
    },
    Start {
        left: is_no_word,
        bytes: Bytes::Words(&[b"uns", b"ver", b"vst", b"wge", b"int", b"vsp", b"unl", b"vm."]),
    },
    Start {
        left: is_no_word,
        bytes: Bytes::Words(&[
            b"dan", b"dro", b"doc", b"dd ", b"des", b"del", b"ins", b"dig", b"dtd", b"dil", b"rea", b"res",
        ]),
    },
    Start {
        left: is_no_word,
        bytes: Bytes::Words(&[b"has", b"get", b"inn", b"out", b"hea", b"key", b"jwt", b"jso"]),
    },
    Start {
        left: is_no_word,
        bytes: Bytes::Words(&[b"req", b"inc", b"fil", b"fop", b"ope", b"wri", b"red", b"ren", b"rem"]),
    },
    Start {
        left: is_no_word,
        bytes: Bytes::Words(&[b"xml", b"lib", b"loa", b"los", b"typ", b"ope", b"tmp", b"tem", b"app"]),
    },
    Start {
        left: is_no_word,
        bytes: Bytes::Words(&[
            b"iex", b"inv", b"iwr", b"irm", b"tru", b"fmt", b"for", b"aes", b"arc", b"rc4",
        ]),
    },
    Start { left: is_no_word, bytes: Bytes::Words(&[b"all", b"ass", b"xpa", b"shu", b"htt"]) },
    Start {
        left: is_no_letter,
        bytes: Bytes::Words(&[b"pas", b"pwd", b"sec", b"api", b"aut", b"acc", b"pri", b"cli"]),
    },
    Start { left: is_no_letter, bytes: Bytes::Words(&[b"tok", b"sal", b"non", b"otp", b"ses", b"csr"]) },
    Start {
        left: is_no_word,
        bytes: Bytes::Words(&[b"f\"s", b"f\"i", b"f\"u", b"f\"d", b"f's", b"f'i", b"f'u", b"f'd", b"f\"\""]),
    },
    Start { left: |b| b == b'.', bytes: Bytes::Words(&[b"sel"]) },
    Start { left: quoted, bytes: Bytes::Words(&[b"sel", b"ins", b"upd", b"del"]) },
    Start {
        left: quoted,
        bytes: Bytes::Words(&[b"(ui", b"(cn", b"(sn", b"(ma", b"(sa", b"(us", b"(&(", b"(|("]),
    },
];

static PHRASES: LazyLock<Phrases> = LazyLock::new(|| {
    #[expect(clippy::expect_used, reason = "the patterns are constants, and the tests below compile them")]
    Phrases::new(&patterns()).expect("constant patterns compile")
});

/// Compiles the patterns, once.
pub(super) fn prepare() {
    LazyLock::force(&PHRASES);
}

/// Whether such code starts here.
pub(super) fn probe(cursor: Cursor<'_>) -> Probe {
    let before = cursor.before();
    let mut line = cursor.clone();
    let Some(found) = PHRASES.probe(cursor)? else { return Ok(None) };
    // Methods of regular expressions and of queries are called `exec` too, and others `system` or `eval`.
    let is_method = matches!(before, b'.' | b'>' | b':') && matches!(found.label, EVAL | SHELL_CALL);
    // `api_key = "your-key"` says where a key belongs.
    line.eat_while(found.len, |_| true)?;
    let is_blank = found.label.starts_with("CWE-798") && is_stand_in(value(line.seen()));
    Ok((!is_method && !is_blank).then_some(found))
}

/// What stands between the last quotes of an assignment.
fn value(found: &[u8]) -> &[u8] {
    let inner = found.split_last().map(|(_, inner)| inner).unwrap_or_default();
    inner.rsplit(|byte| matches!(byte, b'"' | b'\'')).next().unwrap_or_default()
}

/// Whether a rule counts within a block that is fenced as `language`.
pub(crate) fn is_of(language: Language, label: &str) -> bool {
    let mut rules = RULES.iter().filter(|(known, ..)| *known == label);
    rules.any(|(_, languages, _)| languages.is_empty() || languages.contains(&language))
}

fn patterns() -> Vec<(&'static str, String)> {
    RULES.iter().map(|(label, _, pattern)| (*label, (*pattern).to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::{Detector, finds, redacted};

    #[test]
    fn finds_each_weakness_with_its_line() {
        for (code, label) in [
            ("os.system('rm ' + name)", "CWE-78"),
            ("subprocess.run(cmd, shell=True)", "CWE-78"),
            ("Runtime.getRuntime().exec(command)", "CWE-78"),
            ("system($cmd);", "CWE-78"),
            ("eval(user_input)", "CWE-95"),
            ("cursor.execute(\"SELECT * FROM t WHERE id = %s\" % id)", "CWE-89"),
            ("cursor.execute(f\"SELECT * FROM t WHERE id = {id}\")", "CWE-89"),
            ("q = \"SELECT * FROM t WHERE n = '\" + name", "CWE-89"),
            ("pickle.loads(data)", "CWE-502"),
            ("new ObjectInputStream(in)", "CWE-502"),
            ("requests.get(url, verify=False)", "CWE-295"),
            ("{ rejectUnauthorized: false }", "CWE-295"),
            ("hashlib.md5(password)", "CWE-328"),
            ("MessageDigest.getInstance(\"SHA-1\")", "CWE-327"),
            ("strcpy(dst, src);", "CWE-120"),
            ("gets(line);", "CWE-242"),
            ("win.postMessage(data, \"*\")", "CWE-345"),
            ("el.innerHTML = text", "CWE-79"),
            ("password = \"megadeth\"", "CWE-798"),
            ("rm -rf / --no-preserve-root", "destroys"),
            ("DROP TABLE users;", "destroys"),
            ("curl -s https://x.example/i.sh | sudo bash", "CWE-494"),
            ("bash <(curl -s https://x.example/i.sh)", "CWE-494"),
            ("cur.execute(f\"SELECT name FROM t WHERE id = {id}\")", "CWE-89"),
            ("db.query(`SELECT * FROM t WHERE n = '${name}'`)", "CWE-89"),
            ("$q = \"SELECT * FROM t WHERE n = '$name'\";", "CWE-89"),
            ("rows := fmt.Sprintf(\"SELECT * FROM t WHERE n = '%s'\", name)", "CWE-89"),
            ("ctx.search(base, \"(uid=\" + name + \")\", c)", "CWE-90"),
            ("doc.SelectNodes(\"//user[@name='\" + name + \"']\")", "CWE-643"),
            ("exec.Command(\"sh\", \"-c\", command)", "CWE-78"),
            ("etree.XMLParser(resolve_entities=True)", "CWE-611"),
            ("include($_GET['page'])", "CWE-22"),
            ("send_file(request.args['f'])", "CWE-22"),
            ("header('Location: ' . $_GET['to'])", "CWE-601"),
            ("reset_token = str(random.randint(1, 9999))", "CWE-338"),
            ("session_id = Math.random()", "CWE-338"),
            ("sha256(password)", "CWE-916"),
            ("client_secret = \"9f8b2c7d1e\"", "CWE-798"),
            ("DELETE FROM users;", "destroys"),
            ("shutil.rmtree('/')", "destroys"),
        ] {
            let text = format!("Sure:\n```\nx = 1\n{code}\n```\n");
            let found = finds(Detector::InsecureCode, &text);
            assert!(
                found.len() == 1 && found[0].starts_with(label) && found[0].ends_with(", line 4"),
                "{code} {found:?}"
            );
        }
    }

    #[test]
    fn leaves_ordinary_code_and_prose() {
        for text in [
            "pattern.exec(text)",
            "cursor.execute(\"SELECT * FROM t WHERE id = ?\", (id,))",
            "the system (which is old) may run",
            "subprocess.run([\"ls\", path])",
            "hashlib.sha256(data)",
            "yaml.safe_load(stream)",
            "strncpy(dst, src, n)",
            "snprintf(buf, sizeof buf, \"%s\", s)",
            "requests.get(url, verify=True)",
            "select a colour from the menu + more",
            "rm -rf build/",
            "curl -s https://x.example/data | jq .",
            "evaluate(x)",
            "password = input()",
            "api_key = \"your_api_key\"",
            "DELETE FROM users WHERE id = ?;",
            "colour = random.choice(colours)",
            "token = secrets.token_hex(16)",
            "cur.execute(\"SELECT * FROM t WHERE id = $1\", id)",
            "sha256(document)",
            "a drop table in the kitchen".trim_end_matches(" in the kitchen").trim_end_matches("table"),
        ] {
            assert_eq!(redacted(Detector::InsecureCode, text), text);
        }
    }

    #[test]
    fn a_block_that_names_its_language_has_the_rules_of_that_language() {
        for (block, count) in [
            ("```python\nx.innerHTML = y\nos.system(y)\n```\n", 1),
            ("```js\nx.innerHTML = y\nos.system(y)\n```\n", 1),
            ("```\nx.innerHTML = y\nos.system(y)\n```\n", 2),
            ("```go\ny\n```\nx.innerHTML = y\nos.system(y)\n", 2),
            ("```python\nrun('rm -rf /')\n```\n", 1),
        ] {
            assert_eq!(finds(Detector::InsecureCode, block).len(), count, "{block}");
        }
    }

    #[test]
    fn the_automaton_stays_small() {
        assert!(PHRASES.memory() < 8 << 20, "{}", PHRASES.memory());
    }
}
