//! A PostgreSQL server of a test's own: in a folder, on a free port, gone afterwards.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;
use tokio_postgres::{Client, Config, NoTls};

use super::until;

/// A server, with the role and database `gate`, password `secret`.
pub(crate) struct Postgres {
    folder: TempDir,
    port: u16,
    child: Option<Child>,
}

impl Postgres {
    /// `settings` are those of `postgresql.conf`; `files` are put beside it.
    pub(crate) async fn start(settings: &str, files: &[(&str, String)]) -> Self {
        let folder = TempDir::new().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut server = Self { folder, port, child: None };
        let root = server.folder.path();
        fs::write(root.join("password"), "secret\n").unwrap();
        server.own("password");
        server.own("");
        let made = server
            .command("initdb")
            .args(["--username=gate", "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync"])
            .arg(format!("--pwfile={}", root.join("password").display()))
            .arg(root.join("data"))
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        for (name, text) in files {
            let path = Path::new("data").join(name);
            fs::write(root.join(&path), text).unwrap();
            server.own(&path.to_string_lossy());
        }
        let config = root.join("data/postgresql.conf");
        let plain = format!(
            "{}\nfsync = off\nshared_buffers = 8MB\nlisten_addresses = '127.0.0.1'\nport = {port}\n\
             unix_socket_directories = '{}'\n{settings}\n",
            fs::read_to_string(&config).unwrap(),
            root.display()
        );
        fs::write(config, plain).unwrap();
        server.begin().await;
        server
    }

    /// Begins, or begins again after [`Self::end`].
    pub(crate) async fn begin(&mut self) {
        let log = fs::File::create(self.folder.path().join("log")).unwrap();
        let mut command = self.command("postgres");
        command.arg("-D").arg(self.folder.path().join("data")).stdout(Stdio::null()).stderr(log);
        self.child = Some(command.spawn().unwrap());
        let mut again = 0;
        let client = until("postgres", async || {
            let connected = self.connect("postgres").await.ok();
            again += 1;
            let log = || fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
            assert!(connected.is_some() || again < 5000, "{}", log());
            connected
        })
        .await;
        let _ = client.batch_execute("create database gate").await;
    }

    /// Ends at once: connections are cut.
    pub(crate) fn end(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        let ended = Command::new("kill").args(["-QUIT", &child.id().to_string()]).status();
        if !ended.is_ok_and(|status| status.success()) {
            let _ = child.kill();
        }
        let _ = child.wait();
    }

    /// As `postgres:` in a configuration, with `more` keys.
    pub(crate) fn written(&self, more: &str) -> String {
        let password = self.folder.path().join("password");
        format!(
            "postgres:\n  db: {{ host: 127.0.0.1, port: {}, database: gate, user: gate, password: \"file:{}\"{more} }}",
            self.port,
            password.display()
        )
    }

    /// The same over its socket.
    pub(crate) fn written_socket(&self) -> String {
        self.written("").replace("host: 127.0.0.1", &format!("host: \"{}\"", self.folder.path().display()))
    }

    /// A client that is not the gate, in the gate's database.
    pub(crate) async fn client(&self) -> Client {
        self.connect("gate").await.unwrap()
    }

    async fn connect(&self, database: &str) -> Result<Client, tokio_postgres::Error> {
        let mut config = Config::new();
        config.host_path(self.folder.path()).port(self.port).user("gate").password("secret").dbname(database);
        let (client, connection) = config.application_name("test").connect(NoTls).await?;
        tokio::spawn(connection);
        Ok(client)
    }

    /// One of the server's programs, as somebody who is not root: it would refuse.
    fn command(&self, name: &str) -> Command {
        let mut command = Command::new(programs().join(name));
        command.current_dir(self.folder.path()).stdin(Stdio::null());
        if let Some((user, group)) = owner() {
            command.uid(user).gid(group);
        }
        command
    }

    fn own(&self, name: &str) {
        use std::os::unix::fs::PermissionsExt as _;
        let path = self.folder.path().join(name);
        if path.is_file() {
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        }
        if let Some((user, group)) = owner() {
            chown(path, Some(user), Some(group)).unwrap();
        }
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.end();
    }
}

/// Debian puts them where no search path leads.
fn programs() -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let found = versions.map(|version| version.path().join("bin")).filter(|bin| bin.join("initdb").exists());
    let paths = std::env::var_os("PATH").unwrap_or_default();
    let others: Vec<PathBuf> =
        std::env::split_paths(&paths).filter(|bin| bin.join("initdb").exists()).collect();
    found
        .max()
        .or(others.into_iter().next())
        .expect("these tests need a PostgreSQL server: install `postgresql`")
}

/// User and group that the server runs as, where a test runs as root.
fn owner() -> Option<(u32, u32)> {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let is_root = status.lines().any(|line| line.starts_with("Uid:\t0\t"));
    let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let of = |name: &str| {
        let line = users.lines().find(|line| line.split(':').next() == Some(name))?;
        let mut numbers = line.split(':').skip(2).map_while(|number| number.parse().ok());
        Some((numbers.next()?, numbers.next()?))
    };
    if is_root { of("postgres").or_else(|| of("nobody")) } else { None }
}
