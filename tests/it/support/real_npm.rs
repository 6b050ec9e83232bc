//! The real npm as a user runs it: the pinned node and npm in a home of its own. It knows nothing of the service but its
//! address.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use countersign_worker::{
    toolchain::{Cache, DEFAULT_NODE, DEFAULT_NPM, Tool, ToolName, default_folder},
    upstream::{Upstream, UpstreamConfig},
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    process::Command,
    sync::OnceCell,
};

/// No npm command of a test takes longer, however loaded the machine is; one that does hangs.
const COMMAND_SECONDS_MAX: u64 = 180;

/// Where node and npm lie.
#[derive(Clone, Debug)]
struct Toolchain {
    node: PathBuf,
    npm: PathBuf,
}

static TOOLCHAIN: OnceCell<Toolchain> = OnceCell::const_new();

/// The toolchain that the project pins, brought once into the cache that workers use.
async fn toolchain() -> &'static Toolchain {
    let bring = async || {
        let is_root = rustix::process::geteuid().is_root();
        let folder = default_folder(|name| std::env::var(name).ok(), is_root);
        let folder = folder.expect("a cache folder for this user");
        let cache = Cache::open(&folder, false).expect("the toolchain cache opens");
        let config = UpstreamConfig::from_environment().expect("npm's configuration is readable");
        let upstream = Upstream::new(&config, &cache.registry_folder()).expect("a client");
        let mut folders = Vec::new();
        for (name, version) in [(ToolName::Node, DEFAULT_NODE), (ToolName::Npm, DEFAULT_NPM)] {
            let tool = Tool { name, version: version.parse().expect("a version") };
            let folder = cache.ensure(&upstream, &tool, &mut |_, _| {}).await;
            folders.push(folder.expect("the registry gives the pinned toolchain"));
        }
        Toolchain { node: folders[0].join("bin/node"), npm: folders[1].join("bin/npm-cli.js") }
    };
    TOOLCHAIN.get_or_init(bring).await
}

/// The pinned node.
pub(crate) async fn node() -> &'static Path {
    &toolchain().await.node
}

/// The folder of the pinned npm, with what it is made of in its node_modules.
pub(crate) async fn npm_folder() -> &'static Path {
    let folder = toolchain().await.npm.parent().and_then(Path::parent);
    folder.expect("npm-cli.js lies in npm's bin folder")
}

/// A folder with programs `node` and `npm` for a PATH.
pub(crate) async fn programs() -> TempDir {
    use std::os::unix::fs::PermissionsExt;
    let toolchain = toolchain().await;
    let folder = TempDir::new().expect("a folder for programs");
    for (name, arguments) in
        [("node", String::new()), ("npm", format!(" '{}'", toolchain.npm.display()))]
    {
        let text = format!("#!/bin/sh\nexec '{}'{arguments} \"$@\"\n", toolchain.node.display());
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect("a program is written");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755))
            .expect("it may be run");
    }
    folder
}

/// What a command said.
#[derive(Clone, Debug)]
pub(crate) struct Ran {
    /// Its exit code.
    pub(crate) code: Option<i32>,
    /// Its standard output.
    pub(crate) stdout: String,
    /// Its standard error.
    pub(crate) stderr: String,
}

impl Ran {
    /// The same, where it ended well.
    #[track_caller]
    pub(crate) fn ok(self) -> Self {
        assert_eq!(self.code, Some(0), "stdout: {}\nstderr: {}", self.stdout, self.stderr);
        self
    }

    /// The same, where it ended with npm's exit code for an error.
    #[track_caller]
    pub(crate) fn failed(self) -> Self {
        assert_eq!(self.code, Some(1), "stdout: {}\nstderr: {}", self.stdout, self.stderr);
        self
    }

    /// Standard output as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Asserts that standard error says this.
    #[track_caller]
    pub(crate) fn says(&self, text: &str) -> &Self {
        assert!(self.stderr.contains(text), "no `{text}` in {}", self.stderr);
        self
    }

    /// The id that `npm stage publish` printed.
    #[track_caller]
    pub(crate) fn stage_id(&self) -> String {
        let (_, rest) = self.stdout.split_once("staged with id ").expect("an id was printed");
        rest.split(')').next().expect("a closing bracket").to_owned()
    }
}

/// One user's npm: a home with its own configuration and cache, and nothing else of this machine's environment.
#[derive(Debug)]
pub(crate) struct RealNpm {
    home: TempDir,
    registry: String,
    toolchain: &'static Toolchain,
}

impl RealNpm {
    /// A user whose configuration names this registry and nothing else.
    pub(crate) async fn new(registry: &str) -> Self {
        let home = TempDir::new().expect("a folder for a home");
        let npm = Self { home, registry: registry.to_owned(), toolchain: toolchain().await };
        npm.configure("");
        npm
    }

    /// The same with a token for that registry, as CI has it.
    pub(crate) async fn with_token(registry: &str, token: &str) -> Self {
        let npm = Self::new(registry).await;
        let host = npm.registry.split_once(':').expect("a registry has a scheme").1;
        npm.configure(&format!("{}/:_authToken={token}\n", host.trim_end_matches('/')));
        npm
    }

    fn configure(&self, more: &str) {
        // A refused request is an answer here: three tries of half a minute each would only make tests slow.
        let text = format!(
            "registry={}\naudit=false\nfund=false\nupdate-notifier=false\nfetch-retries=0\n{more}",
            self.registry
        );
        std::fs::write(self.npmrc(), text).expect("the home is writable");
    }

    /// The user's configuration file, where `npm login` writes its token.
    pub(crate) fn npmrc(&self) -> PathBuf {
        self.home.path().join(".npmrc")
    }

    /// A folder in this user's home, made where it is missing.
    pub(crate) fn folder(&self, name: &str) -> PathBuf {
        let folder = self.home.path().join(name);
        std::fs::create_dir_all(&folder).expect("the home is writable");
        folder
    }

    /// A package in this user's home, with these files beside its package.json.
    pub(crate) fn package(&self, manifest: &serde_json::Value, files: &[(&str, &str)]) -> PathBuf {
        let name = manifest["name"].as_str().expect("a package has a name").replace('/', "-");
        let folder = self.folder(&format!("{name}-{}", manifest["version"]).replace('"', ""));
        let text = serde_json::to_string_pretty(manifest).expect("JSON prints");
        std::fs::write(folder.join("package.json"), text).expect("the home is writable");
        for (path, content) in files {
            std::fs::write(folder.join(path), content).expect("the home is writable");
        }
        folder
    }

    /// `npm` with these arguments in the home.
    pub(crate) async fn run(&self, arguments: &[&str]) -> Ran {
        self.run_in(self.home.path(), arguments).await
    }

    /// `npm` with these arguments in that folder, without a terminal.
    pub(crate) async fn run_in(&self, folder: &Path, arguments: &[&str]) -> Ran {
        let mut command = self.command(&self.toolchain.node, folder);
        command.arg(&self.toolchain.npm).args(arguments).stdin(Stdio::null());
        let output = within(command.output()).await.expect("node starts");
        Ran {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// `npm` on a terminal, with an answer to each prompt as it comes. The terminal is made by util-linux's `script`,
    /// which every Debian has: npm asks for passwords and codes nowhere else. What it prints comes as standard output.
    pub(crate) async fn converse(&self, arguments: &[&str], answers: &[(&str, &str)]) -> Ran {
        let words = [self.toolchain.node.as_path(), self.toolchain.npm.as_path()];
        let words = words.iter().map(|path| path.to_string_lossy().into_owned());
        let words = words.chain(arguments.iter().map(|word| (*word).to_owned()));
        let line = words.map(|word| format!("'{word}'")).collect::<Vec<_>>().join(" ");
        let mut command = self.command(Path::new("script"), self.home.path());
        command.args(["--quiet", "--return", "--command", &line, "/dev/null"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("util-linux's script starts");
        let mut input = child.stdin.take().expect("a pipe was asked for");
        let mut output = child.stdout.take().expect("a pipe was asked for");
        let talk = async {
            let (mut seen, mut asked) = (Vec::new(), 0);
            for (prompt, answer) in answers {
                asked = read_until(&mut output, &mut seen, asked, prompt).await;
                input.write_all(format!("{answer}\n").as_bytes()).await.expect("npm reads");
            }
            output.read_to_end(&mut seen).await.expect("npm's output is readable");
            seen
        };
        let seen = within(talk).await;
        let status = within(child.wait()).await.expect("npm ends");
        let stdout = String::from_utf8_lossy(&seen).into_owned();
        Ran { code: status.code(), stdout, stderr: String::new() }
    }

    /// `npm login` as a maintainer, with password and one-time code.
    pub(crate) async fn login(&self, name: &str, password: &str, code: &str) -> Ran {
        let answers = [("Username:", name), ("Password:", password), ("Enter OTP:", code)];
        self.converse(&["login", "--auth-type=legacy"], &answers).await
    }

    fn command(&self, program: &Path, folder: &Path) -> Command {
        let bin = self.toolchain.node.parent().expect("node lies in a folder");
        let mut command = Command::new(program);
        command.env_clear().current_dir(folder).kill_on_drop(true);
        command.env("HOME", self.home.path()).env("TERM", "dumb");
        command.env("PATH", format!("{}:/usr/bin:/bin", bin.display()));
        command
    }
}

/// Reads until that text comes after `from`, and says where it ends.
async fn read_until(
    output: &mut tokio::process::ChildStdout,
    seen: &mut Vec<u8>,
    from: usize,
    text: &str,
) -> usize {
    loop {
        let found = seen[from..].windows(text.len()).position(|window| window == text.as_bytes());
        if let Some(at) = found {
            return from + at + text.len();
        }
        let mut chunk = [0; 1024];
        let count = output.read(&mut chunk).await.expect("npm's output is readable");
        assert!(count > 0, "npm ended before `{text}`: {}", String::from_utf8_lossy(seen));
        seen.extend_from_slice(&chunk[..count]);
    }
}

async fn within<T>(work: impl Future<Output = T>) -> T {
    let limit = Duration::from_secs(COMMAND_SECONDS_MAX);
    tokio::time::timeout(limit, work).await.expect("npm hangs")
}
