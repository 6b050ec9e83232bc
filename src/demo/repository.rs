//! The sample repository that the demo writes and serves: a small TypeScript package with a committed lockfile, made
//! by the `git` program with a fixed author and date, and served over loopback HTTP. It knows nothing of the service.

use std::{
    net::SocketAddr,
    path::{Component, Path, PathBuf},
};

use anyhow::{Context, ensure};
use axum::{Router, body::Body, extract::State, http::StatusCode, http::Uri, response::Response};
use tokio::{net::TcpListener, process::Command};

/// The package that the demo releases.
pub(super) const NAME: &str = "countersign-demo-pad";
/// Its version.
pub(super) const VERSION: &str = "1.0.0";
/// Its tag.
pub(super) const TAG: &str = "v1.0.0";

/// Later than the publication of everything that the lockfile names, so that the cut-off hides none of it.
const COMMIT_DATE: &str = "2026-11-01T12:00:00Z";

const FILES: [(&str, &str); 6] = [
    (".gitignore", "node_modules\ndist\n*.tgz\n"),
    ("README.md", include_str!("sample/README.md")),
    ("package.json", include_str!("sample/package.json")),
    ("package-lock.json", include_str!("sample/package-lock.json")),
    ("tsconfig.json", include_str!("sample/tsconfig.json")),
    ("src/index.ts", include_str!("sample/index.ts")),
];

/// A repository that is served as long as this value lives.
pub(super) struct SampleRepository {
    /// Where it can be cloned from.
    pub(super) url: String,
    server: tokio::task::JoinHandle<()>,
}

impl Drop for SampleRepository {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl SampleRepository {
    /// Writes the repository below `folder` and serves it on a free port of 127.0.0.1.
    pub(super) async fn create(folder: &Path) -> anyhow::Result<Self> {
        let listener =
            TcpListener::bind(("127.0.0.1", 0)).await.context("no free port on 127.0.0.1")?;
        let address = listener.local_addr()?;
        let url = url_of(address);
        let work = folder.join("pad");
        write_files(&work, &url)?;
        git(&work, &["init", "--quiet", "--initial-branch=main"]).await?;
        git(&work, &["add", "--all"]).await?;
        git(&work, &["commit", "--quiet", "--message", "Pad a text on the left"]).await?;
        git(&work, &["tag", TAG]).await?;
        let served = folder.join("served");
        std::fs::create_dir_all(&served)?;
        let bare = served.join("pad.git");
        git(folder, &["clone", "--quiet", "--bare", path_text(&work)?, path_text(&bare)?]).await?;
        git(&bare, &["update-server-info"]).await?;
        Ok(Self { url, server: tokio::spawn(serve(listener, served)) })
    }
}

fn url_of(address: SocketAddr) -> String {
    format!("http://{address}/pad.git")
}

fn path_text(path: &Path) -> anyhow::Result<&str> {
    path.to_str().with_context(|| format!("{} is no UTF-8 path", path.display()))
}

fn write_files(work: &Path, url: &str) -> anyhow::Result<()> {
    for (path, text) in FILES {
        let path = work.join(path);
        std::fs::create_dir_all(path.parent().unwrap_or(work))?;
        std::fs::write(&path, text.replace("@REPOSITORY@", url))
            .with_context(|| format!("{} cannot be written", path.display()))?;
    }
    Ok(())
}

/// Runs git with a configuration of its own, so that nobody's hooks, signing keys or names get in.
pub(super) async fn git(folder: &Path, arguments: &[&str]) -> anyhow::Result<()> {
    let output = Command::new("git")
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .envs(git_environment())
        .output()
        .await
        .context("the program git cannot be started: install it, then try again")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "git {} ended with {}: {said}",
        arguments.join(" "),
        output.status
    );
    Ok(())
}

fn git_environment() -> [(&'static str, String); 9] {
    let path = std::env::var("PATH").unwrap_or_else(|_| "/usr/local/bin:/usr/bin:/bin".to_owned());
    [
        ("PATH", path),
        ("HOME", "/nonexistent".to_owned()),
        ("GIT_CONFIG_NOSYSTEM", "1".to_owned()),
        ("GIT_AUTHOR_NAME", "Countersign Demo".to_owned()),
        ("GIT_AUTHOR_EMAIL", "demo@countersign.example".to_owned()),
        ("GIT_AUTHOR_DATE", COMMIT_DATE.to_owned()),
        ("GIT_COMMITTER_NAME", "Countersign Demo".to_owned()),
        ("GIT_COMMITTER_EMAIL", "demo@countersign.example".to_owned()),
        ("GIT_COMMITTER_DATE", COMMIT_DATE.to_owned()),
    ]
}

/// Serves the folder by git's "dumb" HTTP protocol: plain files.
async fn serve(listener: TcpListener, folder: PathBuf) {
    let app = Router::new().fallback(file).with_state(folder);
    // Ends with the demo, which aborts this task.
    let _ = axum::serve(listener, app).await;
}

async fn file(State(folder): State<PathBuf>, uri: Uri) -> Response {
    let relative = PathBuf::from(uri.path().trim_start_matches('/'));
    let plain = relative.components().all(|part| matches!(part, Component::Normal(_)));
    let (status, body) = match plain.then(|| std::fs::read(folder.join(&relative))) {
        Some(Ok(bytes)) => (StatusCode::OK, Body::from(bytes)),
        Some(Err(_)) | None => (StatusCode::NOT_FOUND, Body::empty()),
    };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response
}
