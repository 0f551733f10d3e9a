//! The table of dangerous lines: what is wrong, of which languages it is, how it looks.

use super::fence::Language::{self, C, CSharp, Go, Java, JavaScript, Php, Python, Ruby, Rust};

/// What is wrong, in which languages (none: in all of them, as a command may stand in any), and the pattern: ASCII, in
/// any case, within one line.
pub(super) type Rule = (&'static str, &'static [Language], &'static str);

/// A method of this name may be of something else: not behind `.`, `>` or `:`.
pub(super) const EVAL: &str = "CWE-95 evaluates text";
/// The same.
pub(super) const SHELL_CALL: &str = "CWE-78 runs a shell";

const CERTIFICATES: &str = "CWE-295 does not check certificates";
const SQL: &str = "CWE-89 SQL put together";
const BYTES: &str = "CWE-502 reads objects from bytes";
const ALGORITHM: &str = "CWE-327 weak algorithm";
const DIGEST: &str = "CWE-328 weak digest";
const PATH: &str = "CWE-22 a path of the caller's";
const ENTITIES: &str = "CWE-611 reads external entities";
const FETCHED: &str = "CWE-494 runs what it fetched";
const DATA: &str = "destroys data";
const FILES: &str = "destroys files";

/// Every rule.
pub(super) const RULES: &[Rule] = &[
    // Shells and programs.
    ("CWE-78 runs a shell through os", &[Python], r"os\.(?:system|popen)\s?\("),
    (
        "CWE-78 runs a shell through subprocess",
        &[Python],
        r"subprocess\.(?:call|run|popen|check_call|check_output)\([^\n]*shell\s?=\s?true",
    ),
    (
        "CWE-78 runs a shell through subprocess",
        &[Python],
        r"(?:subprocess|commands)\.get(?:status)?output\s?\(",
    ),
    ("CWE-78 runs a program", &[Java], r"runtime\.getruntime\(\)\s?\.exec\("),
    ("CWE-78 runs a program", &[Java], r#"new\s+processbuilder\(\s?"(?:sh|bash|cmd|/bin/)"#),
    ("CWE-78 starts a process", &[CSharp], r"process\.start\s?\("),
    (
        "CWE-78 starts a process",
        &[CSharp],
        r#"startinfo\.(?:arguments\s?=[^\n]*\+|filename\s?=\s?@?"(?:cmd|powershell|/bin/))"#,
    ),
    (SHELL_CALL, &[], r"(?:system|passthru|shell_exec|popen|execsync)\(\s?[a-z_$(&*@]"),
    (
        SHELL_CALL,
        &[],
        r#"(?:system|passthru|shell_exec|popen|exec|execsync)\s?\(\s?["'`][^\n]*["'`]\s?(?:\+|\.)\s?[$a-z_(]"#,
    ),
    (SHELL_CALL, &[], r#"(?:system|exec|execsync)\s?\(\s?["'`][^\n"'`]*[#$]\{"#),
    (SHELL_CALL, &[Php], r"(?:exec|shell_exec|system|passthru)\s?\(\s?\$[a-z_]"),
    (
        "CWE-78 runs a shell through child_process",
        &[JavaScript],
        r"(?:child_?process|cp)\.exec(?:sync)?\s?\(",
    ),
    (
        "CWE-78 runs a shell through exec.Command",
        &[Go],
        r#"exec\.command(?:context)?\([^\n]*"(?:sh|bash|cmd)"\s?,\s?"(?:-c|/c)"\s?,\s?[^"\n]"#,
    ),
    ("CWE-78 runs a shell through Command", &[Rust], r#"command::new\(\s?"(?:sh|bash|cmd)"\s?\)"#),
    // Text that is run.
    (EVAL, &[], r"eval\s?\(\s?[^\s)]"),
    (
        EVAL,
        &[],
        r"exec\s?\(\s?(?:compile\(|open\(|code|source|cmd|command|input|data|request|payload|urllib|[a-z_]+\s?(?:%|\+|\.read\())",
    ),
    (EVAL, &[Python], r#"exec\s?\(\s?f?["'][^\n]*(?:["']\s?(?:%|\+|\.format\()|\{[a-z_])"#),
    ("CWE-95 makes a function of text", &[JavaScript], r#"new\s+function\s?\(\s?["'a-z_]"#),
    ("CWE-95 runs text later", &[JavaScript], r#"set(?:timeout|interval)\s?\(\s?["'`]"#),
    ("CWE-95 runs text in a context", &[JavaScript], r"vm\.runin(?:new|this)?context\s?\("),
    ("CWE-95 makes a function of text", &[Php], r"create_function\s?\("),
    ("CWE-95 asserts text", &[Php], r"assert\s?\(\s?\$_(?:get|post|request|cookie)"),
    ("CWE-95 evaluates a string", &[Ruby], r#"(?:instance|class)_eval\s?\(?\s?["'a-z]"#),
    ("CWE-1336 a template of the caller's", &[Python], r"render_template_string\s?\(\s?[a-z_f]"),
    // Queries that are put together.
    (
        SQL,
        &[],
        r#"execute(?:many|script|query|update|nonquery|reader|scalar)?\s?\(\s?(?:f|r|b|u|\$@?|@)?["'`]{1,3}\s*(?:select|insert|update|delete|create|drop|alter|truncate|exec|show|attach)\s[^\n]*(?:['"`]\s?(?:%|\+|\.format\()|\$\{|\{[a-z_])"#,
    ),
    (
        SQL,
        &[],
        r#"(?:select|insert into|update|delete from)\s[^\n"]*["']\s?(?:\+\s?[a-z_(]|%\s?[a-z_(]|\.\s?\$|\.format\()"#,
    ),
    (SQL, &[JavaScript], r"(?:select\s[^\n`]*\sfrom|insert into|update|delete from)\s[^\n`]*\$\{"),
    (
        SQL,
        &[Php],
        r#"(?:select\s[^\n"]*\sfrom|insert into|update|delete from)\s[^\n"]*[=(,]\s?'?%?\{?\$[a-z_]"#,
    ),
    (
        SQL,
        &[Python],
        r#"f["']{1,3}(?:select\s[^\n]*\sfrom\s|insert into\s|update\s[^\n]*\sset\s|delete from\s)[^\n]*\{[a-z_]"#,
    ),
    (
        SQL,
        &[CSharp, Java],
        r#"string\.format\(\s?@?"(?:select|insert into|update|delete from)\s[^\n]*(?:\{\d|%s)"#,
    ),
    (SQL, &[Go], r#"fmt\.sprintf\(\s?["`](?:select|insert into|update|delete from)\s[^\n]*%[sdv]"#),
    (SQL, &[Rust], r#"format!\(\s?"(?:select|insert into|update|delete from)\s[^\n]*\{"#),
    (SQL, &[CSharp], r#"commandtext\s?=\s?[^\n]*["']\s?\+"#),
    (
        "CWE-90 LDAP filter put together",
        &[],
        r#"\([&|]?\(?(?:uid|cn|sn|mail|samaccountname|userprincipalname)=[^\n"']*(?:["']\s?(?:\+\s?[a-z_$(]|%\s?[a-z_(]|\.\s?\$|\.format\()|\{[a-z_]|\$\{?[a-z_])"#,
    ),
    (
        "CWE-643 XPath put together",
        &[],
        r#"(?:xpath|selectnodes|selectsinglenode|xpathselectelements?|evaluate)\(\s?[f$]?["'][^\n"']*[/@][^\n"']*(?:['"][^\n"']*)?(?:["']\s?(?:\+\s?[a-z_(]|%\s?[a-z_(]|\.format\()|\{[a-z_])"#,
    ),
    // Objects from bytes.
    (BYTES, &[Python], r"(?:c?pickle|marshal|shelve|dill|jsonpickle)\.(?:loads?|open|unpickler|decode)\s?\("),
    (BYTES, &[Python], r"yaml\.(?:load|unsafe_load|load_all)\s?\("),
    (BYTES, &[Java], r"(?:objectinputstream|xmldecoder)\s?\("),
    (BYTES, &[CSharp], r"(?:binaryformatter|losformatter|netdatacontractserializer|soapformatter)\s?\("),
    (BYTES, &[CSharp], r"typenamehandling\.(?:all|auto|objects)"),
    (BYTES, &[Php], r"unserialize\s?\(\s?\$"),
    (BYTES, &[Ruby], r"marshal\.load\s?\("),
    // Certificates.
    (CERTIFICATES, &[Python], r"verify\s?=\s?false"),
    (
        CERTIFICATES,
        &[],
        r"verify_(?:mode|peer)\s?(?:=|=>)\s?(?:ssl\.cert_none|openssl::ssl::verify_none|false)",
    ),
    (CERTIFICATES, &[Python], r"check_hostname\s?=\s?false"),
    (CERTIFICATES, &[Python], r"set_missing_host_key_policy\s?\([^\n]*autoaddpolicy"),
    (CERTIFICATES, &[JavaScript], r#"rejectunauthorized"?\s?:\s?false"#),
    (CERTIFICATES, &[Rust], r"danger_accept_invalid_(?:certs|hostnames)\s?\("),
    (CERTIFICATES, &[Go], r"insecureskipverify\s?:\s?true"),
    (CERTIFICATES, &[], r"curlopt_ssl_verify(?:peer|host)\s?,\s?(?:0|false)"),
    (CERTIFICATES, &[], r#"node_tls_reject_unauthorized[\x22'\]]*\s?=\s?[\x22']?0"#),
    (CERTIFICATES, &[Python], r"ssl\._create_unverified_context"),
    (
        CERTIFICATES,
        &[CSharp],
        r"(?:servercertificatevalidationcallback|servercertificatecustomvalidationcallback)\s?\+?=[^\n]*true",
    ),
    (CERTIFICATES, &[], r"ssl_verify_none\b"),
    (CERTIFICATES, &[Java], r"(?:allow_all_hostname_verifier|noophostnameverifier)\b"),
    (CERTIFICATES, &[], r"(?:http\.sslverify|strict-ssl)[\s=]+false"),
    (CERTIFICATES, &[], r"stricthostkeychecking[\s=]+no\b"),
    (CERTIFICATES, &[], r"wget\s[^\n]*--no-check-certificate"),
    (CERTIFICATES, &[], r"curl\s(?:[^\n|]*\s)?(?:-k|--insecure)\s"),
    (
        "CWE-347 a token nobody verified",
        &[],
        r#"jwt\.decode\s?\([^\n]*verify(?:_signature)?['"]?\s?[:=]\s?false"#,
    ),
    // Digests and ciphers.
    (DIGEST, &[Python], r"hashlib\.(?:md5|sha1|new\(\s?['\x22](?:md5|sha1))"),
    (DIGEST, &[Rust], r"(?:sha1|md5|md4)::new\s?\("),
    (DIGEST, &[C], r"evp_(?:md5|sha1|md4)\s?\("),
    (DIGEST, &[C], r"(?:md5|sha1|md4)_(?:init|update)\s?\("),
    (DIGEST, &[Go], r"(?:md5|sha1)\.(?:new|sum)\s?\("),
    (DIGEST, &[Ruby], r"digest::(?:md5|sha1)\b"),
    (
        ALGORITHM,
        &[],
        r"md5\s?\(\s?(?:\$|serialize|uniqid|time\(|microtime|mt_rand|rand\(|json_encode|htmlspecialchars|mysql_)",
    ),
    (ALGORITHM, &[], r"sha1\s?\(\s?(?:\$|uniqid|mt_rand|microtime)"),
    (ALGORITHM, &[Java], r"messagedigest\.getinstance\(\s?\x22(?:md5|md2|sha-?1)\x22"),
    (ALGORITHM, &[Java], r"(?:hashing\.(?:md5|sha1)|digestutils\.(?:md5|md2|sha1)(?:hex)?)\s?\("),
    (
        ALGORITHM,
        &[Java],
        r"cipher\.getinstance\(\s?\x22(?:des|desede|rc4|rc2|blowfish|aes(?:/ecb[^\x22]*)?)[/\x22]",
    ),
    (ALGORITHM, &[Java], r"keygenerator\.getinstance\(\s?\x22(?:des|rc4|rc2|blowfish)"),
    (ALGORITHM, &[JavaScript], r"createhash\(\s?['\x22](?:md5|sha1)"),
    (ALGORITHM, &[JavaScript], r"createcipher(?:iv)?\(\s?['\x22](?:des|rc4|rc2|bf|aes-\d+-ecb)"),
    (ALGORITHM, &[CSharp], r"(?:md5|sha1)(?:cryptoserviceprovider|managed)?(?:\.create)?\s?\(\s?\)"),
    (ALGORITHM, &[CSharp], r"descryptoserviceprovider\s?\("),
    (ALGORITHM, &[CSharp], r"ciphermode\.ecb\b"),
    (ALGORITHM, &[Python], r"(?:des3?|arc4|arc2|blowfish)\.new\s?\("),
    (ALGORITHM, &[Python], r"aes\.new\s?\([^\n]*mode_ecb"),
    (ALGORITHM, &[Go], r"(?:des|rc4)\.new(?:tripledes)?cipher\s?\("),
    ("CWE-1240 weak cipher", &[C], r"evp_(?:des|bf|rc4|rc2)_[a-z0-9_]+\s?\("),
    (
        "CWE-916 fast digest of a password",
        &[],
        r"(?:md5|sha1|sha256|sha512|hashlib\.sha(?:224|256|384|512))\s?\([^\n)]*passw",
    ),
    (
        "CWE-338 weak random for a secret",
        &[],
        r"(?:token|passwo?r?d|secret|salt|nonce|otp|session_?id|api_?key|csrf)[a-z_]*\s?:?=\s?[^\n]*(?:math\.random\(|random\.(?:choices?|randint|sample|random|randrange|getrandbits)\(|mt_rand\(|uniqid\(|new random\()",
    ),
    // Files and addresses of the caller's.
    (PATH, &[Php], r"(?:require|include)(?:_once)?\s?\(?\s?\$_(?:get|post|request|cookie)"),
    (PATH, &[Php], r"(?:file_get_contents|readfile|fopen|unlink)\s?\([^\n;]*\$_(?:get|post|request|cookie)"),
    (
        PATH,
        &[JavaScript],
        r"(?:readfile|readfilesync|createreadstream|sendfile|writefile|writefilesync)\s?\([^\n;]*req(?:uest)?\.(?:query|params|body)",
    ),
    (PATH, &[Python], r"(?:open|send_file)\s?\([^\n;]*request\.(?:args|form|get|post|values|files|query)"),
    (PATH, &[Java], r"new\s+file(?:inputstream)?\s?\([^\n;]*(?:getparameter|getoriginalfilename)\s?\("),
    (
        "CWE-601 leads where the caller says",
        &[Php],
        r#"header\s?\(\s?["']location:[^\n;]*\$_(?:get|post|request)"#,
    ),
    (
        "CWE-601 leads where the caller says",
        &[],
        r"redirect\s?\(\s?(?:req(?:uest)?\.(?:args|get|form|values|query|params|body)|returnurl\s?\))",
    ),
    (ENTITIES, &[Python], r"xmlparser\s?\([^\n]*resolve_entities\s?=\s?true"),
    (ENTITIES, &[Php], r"libxml_disable_entity_loader\s?\(\s?false"),
    (
        ENTITIES,
        &[Php],
        r"(?:loadxml|simplexml_load_string|simplexml_load_file)\s?\([^\n]*libxml_(?:noent|dtdload)",
    ),
    (ENTITIES, &[CSharp], r"(?:dtdprocessing\.parse|prohibitdtd\s?=\s?false|new\s+xmlurlresolver\s?\()"),
    (
        ENTITIES,
        &[Java],
        r#"set(?:feature|property)\s?\([^\n]*(?:external-(?:general|parameter)-entities|load-external-dtd|support_dtd|is_supporting_external_entities)"?\s?,\s?true"#,
    ),
    (ENTITIES, &[JavaScript], r"parsexml(?:string)?\s?\([^\n]*noent\s?:\s?true"),
    // C and C++.
    ("CWE-120 copies without a bound", &[C], r"str(?:cpy|cat)\s?\(\s?[a-z_(&*]"),
    ("CWE-120 copies without a bound", &[C], r"v?sprintf\s?\(\s?(?:\(char\s?\*\)\s?)?&?[a-z_]+[^\n,]*,"),
    ("CWE-242 reads without a bound", &[C], r"gets\s?\(\s?[a-z_]+\s?\)"),
    ("CWE-119 reads without a bound", &[C], r"scanf\s?\(\s?\x22[^\n\x22]*%s"),
    ("CWE-377 a name that can be guessed", &[C], r"(?:tmpnam|tempnam|mktemp)\s?\(\s?[a-z_]"),
    ("CWE-377 a name that can be guessed", &[Python], r"tempfile\.mktemp\s?\("),
    // Browsers.
    ("CWE-345 posts to any origin", &[JavaScript], r"postmessage\s?\([^\n]*,\s?['\x22]\*['\x22]"),
    ("CWE-79 writes markup", &[JavaScript], r"(?:innerhtml|outerhtml)\s?\+?=\s?[a-z_$`]"),
    ("CWE-79 writes markup", &[JavaScript], r"document\.write(?:ln)?\s?\(\s?[a-z_$`]"),
    ("CWE-79 writes markup", &[JavaScript], r"dangerouslysetinnerhtml\s?="),
    ("CWE-79 writes what was sent", &[Php], r"echo\s[^\n;]*\$_(?:get|post|request)\["),
    // Settings.
    (
        "CWE-798 password in code",
        &[],
        r#"(?:pass(?:word|wd)?|pwd)['\x22]?\]?\s?=\s?['\x22][^'\x22\s{$%<]{3,40}['\x22]"#,
    ),
    (
        "CWE-798 key in code",
        &[],
        r#"(?:secret_?key|api_?key|auth_?token|access_?token|private_?key|client_?secret)['\x22]?\]?\s?=\s?['\x22][^'\x22\s{$%<./]{8,80}['\x22]"#,
    ),
    ("CWE-489 debugger left on", &[Python], r"app\.run\s?\([^\n]*debug\s?=\s?true"),
    ("CWE-352 forgery is not checked", &[Java], r"csrf\(\)\.disable\s?\("),
    ("CWE-732 everyone may write", &[], r"chmod\s+(?:-r\s+)?0?777\b"),
    // Commands that destroy, and that run what they fetched.
    (FILES, &[], r"rm\s+-(?:rf|fr|r\s+-f)\s+(?:--no-preserve-root\s+)?(?:/|~|\*|\$|\.\s)"),
    (FILES, &[], r#"(?:shutil\.)?rmtree\s?\(\s?["'](?:/|c:)"#),
    (FILES, &[], r"remove-item\s[^\n]*(?:c:\\|\\\*|/\s)[^\n]*-recurse"),
    (DATA, &[], r"drop\s+(?:table|database|schema)\s+[a-z_`\x22\[]"),
    (DATA, &[], r"truncate\s+table\s+[a-z_`\x22\[]"),
    (DATA, &[], r"delete\s+from\s+[a-z_.`\x22\[\]]+\s?;"),
    (DATA, &[], r"dd\s+if=[^\n]*of=/dev/[a-z]"),
    (DATA, &[], r"mkfs(?:\.[a-z0-9]+)?\s+(?:-[a-z]\s+)*/dev/"),
    (FETCHED, &[], r"(?:curl|wget)\s[^\n|]*\|\s*(?:sudo\s+)?(?:ba|z|k)?sh\b"),
    (FETCHED, &[], r#"(?:bash|sh|zsh)\s+(?:<\(\s?|-c\s+["']?\$\(\s?)(?:curl|wget)\s"#),
    (FETCHED, &[], r#"eval\s+["']?\$\(\s?(?:curl|wget)\s"#),
    (FETCHED, &[], r"(?:iex|invoke-expression)\s[^\n]*(?:downloadstring|invoke-webrequest|iwr\s)"),
    (FETCHED, &[], r"(?:iwr|irm|invoke-webrequest)\s[^\n|]*\|\s*iex\b"),
];
