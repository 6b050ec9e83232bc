//! The one place that makes an HTTP client: which certificates it believes, how long it waits, where it lets itself be
//! redirected. It knows nothing of registries; every path and value comes in as an argument.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use countersign_core::limits::{
    HTTP_CONNECT_SECONDS_MAX, HTTP_IDLE_SECONDS_MAX, HTTP_REDIRECTS_MAX,
};
use reqwest::{Client, ClientBuilder, redirect};
use rustls::{
    RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, pem::PemObject},
};
use serde::{Deserialize, Serialize};
use url::Url;

/// Where Linux distributions keep the bundle of roots, the first that exists counts (the list of Go's crypto/x509).
const SYSTEM_ROOTS: [&str; 6] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/tls/cacert.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// What every client of this process is made from. It travels to worker processes, whose environment is empty.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClientConfig {
    /// A PEM file in place of the system's store: OpenSSL's `SSL_CERT_FILE`.
    pub roots_file: Option<PathBuf>,
    /// PEM files beside the store: `NODE_EXTRA_CA_CERTS` and npm's `cafile`.
    pub extra_roots_files: Vec<PathBuf>,
    /// PEM texts beside the store: npm's `ca`.
    pub extra_roots_pem: Vec<String>,
    /// The address of the proxy for everything that does not lie on a loopback address.
    pub proxy: Option<String>,
    /// Hosts that are reached without the proxy, in curl's `NO_PROXY` form.
    pub no_proxy: Option<String>,
}

/// A client cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// A file of certificates that was named cannot be read.
    #[error("the certificates in `{path}` cannot be read")]
    Roots {
        /// The file that was named.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The parts do not make a client.
    #[error("no HTTP client can be made")]
    Build(#[source] reqwest::Error),
    /// The protocol versions of the one provider were refused.
    #[error("no TLS configuration can be made")]
    Tls(#[source] rustls::Error),
}

impl ClientConfig {
    /// From this process's environment: `SSL_CERT_FILE`, `NODE_EXTRA_CA_CERTS`, and `HTTPS_PROXY` with `NO_PROXY` in
    /// either case. npm's `cafile` is added by whoever reads npm's configuration.
    pub fn from_environment() -> Self {
        Self::from_lookup(|name| std::env::var(name).ok())
    }

    /// The same from any environment.
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Self {
        let set = |name: &str| lookup(name).filter(|value| !value.is_empty());
        let either = |name: &str| set(&name.to_lowercase()).or_else(|| set(name));
        Self {
            roots_file: set("SSL_CERT_FILE").map(PathBuf::from),
            extra_roots_files: set("NODE_EXTRA_CA_CERTS").map(PathBuf::from).into_iter().collect(),
            extra_roots_pem: Vec::new(),
            proxy: either("HTTPS_PROXY"),
            no_proxy: either("NO_PROXY"),
        }
    }

    /// A client that waits at most so long for a connection and for each next byte, follows few redirects and never
    /// one from https to plain http, unpacks nothing, and calls itself `countersign/<version>`.
    ///
    /// # Errors
    /// When a file of certificates that was named cannot be read.
    pub fn client(&self) -> Result<Client, ClientError> {
        self.builder()?.build().map_err(ClientError::Build)
    }

    /// The same client before it is built, for one more setting.
    ///
    /// # Errors
    /// As [`Self::client`].
    pub fn builder(&self) -> Result<ClientBuilder, ClientError> {
        let mut builder = Client::builder()
            .tls_backend_preconfigured(self.tls()?)
            .user_agent(concat!("countersign/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(Duration::from_secs(HTTP_CONNECT_SECONDS_MAX))
            .read_timeout(Duration::from_secs(HTTP_IDLE_SECONDS_MAX))
            .http2_adaptive_window(true)
            .redirect(redirect::Policy::custom(follow))
            .no_proxy();
        if let Some(url) = &self.proxy {
            let exempt =
                format!("localhost,127.0.0.0/8,::1,{}", self.no_proxy.as_deref().unwrap_or(""));
            let proxy = reqwest::Proxy::all(url).map_err(ClientError::Build)?;
            builder = builder.proxy(proxy.no_proxy(reqwest::NoProxy::from_string(&exempt)));
        }
        Ok(builder)
    }

    fn tls(&self) -> Result<rustls::ClientConfig, ClientError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let mut config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(ClientError::Tls)?
            .with_root_certificates(self.roots()?)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(config)
    }

    /// Every certificate that is believed as one PEM text, for a program that takes a single file; none where that is
    /// the system's store as it stands.
    ///
    /// # Errors
    /// When a file of certificates that was named cannot be read.
    pub(crate) fn roots_pem(&self) -> Result<Option<Vec<u8>>, ClientError> {
        if self
            == &(Self {
                proxy: self.proxy.clone(),
                no_proxy: self.no_proxy.clone(),
                ..Self::default()
            })
        {
            return Ok(None);
        }
        let system = || SYSTEM_ROOTS.iter().map(PathBuf::from).find(|path| path.exists());
        let files = self.roots_file.clone().or_else(system).into_iter();
        let mut pem = Vec::new();
        for path in files.chain(self.extra_roots_files.iter().cloned()) {
            pem.extend(read(&path)?);
            pem.push(b'\n');
        }
        for text in &self.extra_roots_pem {
            pem.extend(text.as_bytes());
            pem.push(b'\n');
        }
        Ok(Some(pem))
    }

    fn roots(&self) -> Result<RootCertStore, ClientError> {
        let mut store = RootCertStore::empty();
        let system = || SYSTEM_ROOTS.iter().map(PathBuf::from).find(|path| path.exists());
        if let Some(path) = self.roots_file.clone().or_else(system) {
            add_pem(&mut store, &read(&path)?);
        }
        for path in &self.extra_roots_files {
            add_pem(&mut store, &read(path)?);
        }
        for pem in &self.extra_roots_pem {
            add_pem(&mut store, pem.as_bytes());
        }
        if store.is_empty() {
            tracing::warn!(
                "no certificate authorities were found, so no https address can be reached; \
                 install the package ca-certificates or set SSL_CERT_FILE"
            );
        }
        Ok(store)
    }
}

/// Makes aws-lc the provider of every TLS user in this process that does not name one. Call it once, first in `main`.
pub fn install_tls_provider() {
    // A second call finds the provider of the first: both are the same.
    let _already_installed = aws_lc_rs::default_provider().install_default();
}

fn read(path: &Path) -> Result<Vec<u8>, ClientError> {
    std::fs::read(path).map_err(|source| ClientError::Roots { path: path.to_owned(), source })
}

/// Distributions' bundles hold certificates that rustls does not take (version 1, negative serial numbers); they are
/// passed over, as every TLS library does.
fn add_pem(store: &mut RootCertStore, pem: &[u8]) {
    store.add_parsable_certificates(CertificateDer::pem_slice_iter(pem).flatten());
}

fn follow(attempt: redirect::Attempt<'_>) -> redirect::Action {
    let before = attempt.previous().last().map(Url::scheme);
    if before == Some("https") && attempt.url().scheme() != "https" {
        return attempt.error("a redirect from https to plain http is not followed");
    }
    if attempt.previous().len() > HTTP_REDIRECTS_MAX {
        return attempt.error("too many redirects");
    }
    attempt.follow()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_names_roots_and_proxy() {
        let config = ClientConfig::from_lookup(|name| match name {
            "SSL_CERT_FILE" => Some("/a.pem".to_owned()),
            "NODE_EXTRA_CA_CERTS" => Some("/b.pem".to_owned()),
            "https_proxy" => Some("http://proxy:3128".to_owned()),
            _ => None,
        });
        assert_eq!(config.roots_file, Some(PathBuf::from("/a.pem")));
        assert_eq!(config.extra_roots_files, [PathBuf::from("/b.pem")]);
        assert_eq!(config.proxy.as_deref(), Some("http://proxy:3128"));
        let travelled: ClientConfig =
            serde_json::from_str(&serde_json::to_string(&config).unwrap()).unwrap();
        assert_eq!(travelled, config);
    }

    #[test]
    fn a_named_file_of_certificates_that_is_not_there_is_named() {
        let config = ClientConfig {
            roots_file: Some("/nowhere/roots.pem".into()),
            ..ClientConfig::default()
        };
        let error = config.client().unwrap_err();
        assert!(error.to_string().contains("/nowhere/roots.pem"), "{error}");
    }
}
