//! Real documents from `init` to a served request: what `init` writes is checked without errors, starts, and serves.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by a panic")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;

const METHODS: [&str; 7] = ["get", "put", "post", "delete", "options", "head", "patch"];

/// The committed documents, and those of the folder in `DOCUMENTS`.
fn documents() -> Vec<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("../core/testdata/openapi");
    let more = std::env::var_os("DOCUMENTS").map(PathBuf::from);
    let mut all = Vec::new();
    for folder in [here].into_iter().chain(more) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if [".json", ".yaml", ".json.gz"].iter().any(|end| path.to_string_lossy().ends_with(end)) {
                all.push(path);
            }
        }
    }
    all.sort();
    all
}

/// The document in `folder`, unpacked, and its file's name.
fn unpacked(document: &Path, folder: &Path) -> String {
    let bytes = std::fs::read(document).unwrap();
    let name = document.file_name().unwrap().to_string_lossy().into_owned();
    let (name, bytes) = match name.strip_suffix(".gz") {
        None => (name, bytes),
        Some(plain) => {
            let mut text = Vec::new();
            flate2::read::GzDecoder::new(&*bytes).read_to_end(&mut text).unwrap();
            (plain.to_owned(), text)
        }
    };
    std::fs::write(folder.join(&name), bytes).unwrap();
    name
}

fn portcullis(folder: &Path, arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_portcullis"))
        .args(arguments)
        .current_dir(folder)
        .env_remove("PORTCULLIS_CONFIG")
        .env("NO_COLOR", "1")
        .output()
        .unwrap();
    let said = [String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr)].concat();
    assert!(output.status.success(), "{arguments:?}: {said}");
    said
}

/// Takes one request after another; answers each with 200.
fn upstream() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || {
                let mut reader = BufReader::new(stream.try_clone().unwrap());
                let mut line = String::new();
                while reader.read_line(&mut line).is_ok_and(|read| read > 0) {
                    if line.ends_with("\r\n\r\n") {
                        line.clear();
                        let answer = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}";
                        (&stream).write_all(answer.as_bytes()).unwrap();
                    }
                }
            });
        }
    });
    address
}

/// A gate that runs, ended when it goes.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn run(folder: &Path) -> (Running, SocketAddr) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_portcullis"))
        .arg("run")
        .current_dir(folder)
        .env("NO_COLOR", "1")
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = String::new();
    let mut lines = BufReader::new(child.stderr.take().unwrap());
    let running = Running(child);
    loop {
        let mut line = String::new();
        assert!(lines.read_line(&mut line).unwrap() > 0, "the gate ended: {said}");
        said.push_str(&line);
        if let Some((_, address)) = line.trim_end().split_once("public on ") {
            let address = address.parse().unwrap();
            std::thread::spawn(move || std::io::copy(&mut lines, &mut std::io::sink()));
            return (running, address);
        }
    }
}

fn get(address: SocketAddr, target: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    write!(stream, "GET {target} HTTP/1.1\r\nHost: api.test\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// `value`, or what its reference leads to.
fn followed<'d>(document: &'d Value, value: &'d Value) -> &'d Value {
    match value["$ref"].as_str() {
        None => value,
        Some(reference) => document.pointer(reference.trim_start_matches('#')).unwrap(),
    }
}

/// A path that can be read without naming anything: no parameter is required, no credential is sent.
fn readable(document: &Value) -> Option<String> {
    let is_needed = |parameters: &Value| {
        let mut all = parameters.as_array().into_iter().flatten().map(|one| followed(document, one));
        all.any(|one| one["required"] == true)
    };
    let paths = document["paths"].as_object()?;
    let found = paths.iter().find(|(template, item)| {
        item["get"].is_object()
            && !template.contains('{')
            && !is_needed(&item["parameters"])
            && !is_needed(&item["get"]["parameters"])
    });
    found.map(|(template, _)| template.clone())
}

/// Below which path the gate serves the API: that of the document's first server.
fn base(document: &Value) -> String {
    let url = document["servers"][0]["url"].as_str().unwrap_or_default();
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let path = rest.split_once('/').map_or(String::new(), |(_, path)| format!("/{path}"));
    path.trim_end_matches('/').to_owned()
}

fn change(file: &Path, from: &str, to: &str) {
    let text = std::fs::read_to_string(file).unwrap();
    assert!(text.contains(from), "{from} in {text}");
    std::fs::write(file, text.replacen(from, to, 1)).unwrap();
}

#[test]
fn a_real_document_becomes_a_gate_that_serves() {
    let upstream = upstream();
    let url = format!("http://{upstream}");
    let mut served = 0;
    for path in documents() {
        let folder = tempfile::tempdir().unwrap();
        let name = unpacked(&path, folder.path());
        println!("{name}");
        portcullis(folder.path(), &["init", "--contract", &name, "--upstream", &url]);
        let said = portcullis(folder.path(), &["check"]);
        assert!(said.contains("1 file checked: 0 errors"), "{name}: {said}");
        let Ok(document) =
            serde_json::from_slice::<Value>(&std::fs::read(folder.path().join(&name)).unwrap())
        else {
            continue;
        };
        let operations: usize = document["paths"]
            .as_object()
            .map(|paths| {
                paths
                    .values()
                    .map(|item| METHODS.iter().filter(|method| item[method].is_object()).count())
                    .sum()
            })
            .unwrap();
        let policies: Vec<_> = std::fs::read_dir(folder.path().join("policy")).unwrap().collect();
        let policy = policies[0].as_ref().unwrap().path();
        let permits = std::fs::read_to_string(&policy).unwrap().matches("\n// permit(").count();
        assert_eq!(permits, operations, "{name}: each operation has a line that allows it");
        let config = folder.path().join("portcullis.yaml");
        change(&config, "127.0.0.1:8080", "127.0.0.1:0");
        change(&config, "127.0.0.1:9443", "127.0.0.1:0");
        // What the upstream of this test says meets no contract.
        change(&config, "    identify: anonymous", "    answers: none\n    identify: anonymous");
        let Some(template) = readable(&document) else { continue };
        let comment = format!("\n// GET {template}");
        let text = std::fs::read_to_string(&policy).unwrap();
        let at = text.find(&format!("{comment}:")).or_else(|| text.find(&format!("{comment}\n")));
        let at = at.unwrap_or_else(|| panic!("{name}: no line for {template}"));
        let (before, after) = text.split_at(at + 1);
        let (line, rest) = after.split_once("\n// permit").unwrap();
        std::fs::write(&policy, format!("{before}{line}\npermit{rest}")).unwrap();
        let (_running, address) = run(folder.path());
        let target = format!("{}{template}", base(&document));
        let answer = get(address, &target);
        assert!(answer.starts_with("HTTP/1.1 200 "), "{name}: GET {target}: {answer}");
        let refused = get(address, &format!("{}/zz-unknown/zz", base(&document)));
        assert!(refused.starts_with("HTTP/1.1 404 "), "{name}: {refused}");
        served += 1;
    }
    assert!(served > 2, "only {served} served");
}
