//! Where git may read from: https, plain http on this machine's own loopback, or a folder of this machine. Everything
//! else is refused before a program is started.

use std::{
    fmt,
    net::IpAddr,
    path::{Path, PathBuf},
};

use countersign_core::source::Repository;
use url::{Host, Url};

/// An address that git is given.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Origin {
    /// Over https.
    Https(String),
    /// Over plain http, from this machine.
    LoopbackHttp(String),
    /// A folder of this machine.
    Local(PathBuf),
}

impl Origin {
    /// The address that this repository is fetched from. Plain http to another machine becomes https: what comes over
    /// it could be anybody's.
    ///
    /// # Errors
    /// A clause that says why it cannot be fetched.
    pub(super) fn of(repository: &Repository) -> Result<Self, String> {
        let text = repository.as_str();
        if text.starts_with('/') {
            return Ok(Self::Local(PathBuf::from(text)));
        }
        let mut url = Url::parse(text).map_err(|_| format!("`{text}` is no address"))?;
        match url.scheme() {
            "https" => Ok(Self::Https(url.into())),
            "http" if is_loopback(&url) => Ok(Self::LoopbackHttp(url.into())),
            "http" => {
                let refused = || format!("`{text}` is no address");
                url.set_scheme("https").map_err(|()| refused())?;
                Ok(Self::Https(url.into()))
            }
            "file" => match url.to_file_path() {
                Ok(path) => Ok(Self::Local(path)),
                Err(()) => Err(format!("`{text}` is no folder of this machine")),
            },
            other => Err(format!("`{other}` is not among https, http to this machine and file")),
        }
    }

    /// The word that git's `protocol.*.allow` knows it by.
    pub(super) fn protocol(&self) -> &'static str {
        match self {
            Self::Https(_) => "https",
            Self::LoopbackHttp(_) => "http",
            Self::Local(_) => "file",
        }
    }

    /// What stands on git's command line.
    pub(super) fn argument(&self) -> String {
        match self {
            Self::Https(url) | Self::LoopbackHttp(url) => url.clone(),
            Self::Local(path) => path.display().to_string(),
        }
    }

    /// The folders that git may read although somebody else owns them: that of a local repository alone, under each
    /// name by which git may come to it. Git asks for the folder that holds the objects, which for a work tree is its
    /// `.git` (git 2.45 and later), and for a linked work tree lies elsewhere.
    pub(super) fn trusted_folders(&self) -> Vec<PathBuf> {
        let Self::Local(path) = self else { return Vec::new() };
        let mut folders = vec![path.clone(), path.join(".git")];
        folders.extend(linked_folders(path));
        let real: Vec<PathBuf> = folders.iter().filter_map(|f| f.canonicalize().ok()).collect();
        folders.extend(real);
        folders.sort();
        folders.dedup();
        folders
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.argument())
    }
}

/// Whether that host is this machine, by its name or address alone.
fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name.eq_ignore_ascii_case("localhost"),
        Some(Host::Ipv4(address)) => IpAddr::V4(address).is_loopback(),
        Some(Host::Ipv6(address)) => IpAddr::V6(address).is_loopback(),
        None => false,
    }
}

/// What the `.git` file of a linked work tree leads to: its own folder and the one that it shares.
fn linked_folders(work_tree: &Path) -> Vec<PathBuf> {
    let read = |path: &Path| std::fs::read_to_string(path).ok();
    let Some(text) = read(&work_tree.join(".git")) else { return Vec::new() };
    let Some(own) = text.trim().strip_prefix("gitdir: ") else { return Vec::new() };
    let own = work_tree.join(own);
    let shared = read(&own.join("commondir")).map(|text| own.join(text.trim()));
    [Some(own), shared].into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(text: &str) -> Result<Origin, String> {
        Origin::of(&text.parse().unwrap())
    }

    #[test]
    fn git_reads_from_https_loopback_http_and_folders_alone() {
        assert_eq!(origin("owner/name"), Ok(Origin::Https("https://github.com/owner/name".into())));
        for loopback in ["http://127.0.0.1:8/x.git", "http://localhost:8/x", "http://[::1]:8/x"] {
            assert_eq!(origin(loopback), Ok(Origin::LoopbackHttp(loopback.into())));
        }
        assert_eq!(origin("/srv/x"), Ok(Origin::Local("/srv/x".into())));
        assert_eq!(origin("file:///srv/a%20b"), Ok(Origin::Local("/srv/a b".into())));
        assert!(origin("file://elsewhere/x").is_err());
    }

    #[test]
    fn plain_http_to_another_machine_is_never_spoken() {
        for (text, spoken) in [
            ("http://example.org/x", "https://example.org/x"),
            ("http://127.0.0.1.example.org/x", "https://127.0.0.1.example.org/x"),
            ("http://localhost.example.org/x", "https://localhost.example.org/x"),
        ] {
            assert_eq!(origin(text), Ok(Origin::Https(spoken.into())));
        }
    }
}
