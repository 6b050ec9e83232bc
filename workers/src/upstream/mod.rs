//! The registries that packages come from: which one serves which name, with which credential, and how a packument or
//! a tarball is had from it, once and checked. It knows nothing of cut-offs, subjects or sandboxes.

mod fetch;
mod npmrc;
mod packument;
mod staged;
mod store;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use countersign_core::PackageName;
use serde::{Deserialize, Serialize};
use url::Url;

pub use fetch::{Tarball, Upstream, UpstreamError};
pub use npmrc::{NpmrcError, Variables};
pub use packument::{Dist, Packument};
pub use staged::StagedArtifact;

use crate::http::ClientConfig;

/// A text that must not be seen. Its debug form is stars; it is serialised as it is, because it travels to worker
/// processes through their inherited pipe.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Hides this text.
    pub fn new(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// The text itself: only for the header or file that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// What is said to a registry that does not serve everybody.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Credential {
    /// npm's `_authToken`.
    Bearer(Secret),
    /// npm's `_auth`: base64 of name and password.
    Basic(Secret),
}

/// One registry.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Registry {
    #[serde(with = "address")]
    url: Url,
    /// What it is shown, where it wants to see something.
    pub credential: Option<Credential>,
    /// Other hosts under which lockfiles and manifests name it, in lower case and without a port.
    #[serde(default)]
    aliases: BTreeSet<String>,
}

impl Registry {
    /// A registry by its http or https address; user, query and fragment are dropped, and a last slash is added.
    pub fn parse(address: &str) -> Option<Self> {
        let mut url = Url::parse(address.trim()).ok()?;
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
            return None;
        }
        url.set_username("").ok()?;
        url.set_password(None).ok()?;
        url.set_query(None);
        url.set_fragment(None);
        if !url.path().ends_with('/') {
            let path = format!("{}/", url.path());
            url.set_path(&path);
        }
        Some(Self { url, credential: None, aliases: BTreeSet::new() })
    }

    /// The same registry, which lockfiles also name by these hosts or addresses; of an address its host counts.
    ///
    /// # Errors
    /// The first text that is neither.
    pub fn with_aliases<'t>(
        mut self,
        aliases: impl IntoIterator<Item = &'t str>,
    ) -> Result<Self, String> {
        for alias in aliases {
            let address = match alias.contains("://") {
                true => Url::parse(alias),
                false => Url::parse(&format!("https://{alias}")),
            };
            let host = address.ok().and_then(|url| url.host_str().map(str::to_ascii_lowercase));
            self.aliases.insert(host.ok_or_else(|| alias.to_owned())?);
        }
        Ok(self)
    }

    /// The same registry with npm's `_authToken` for it.
    #[must_use]
    pub fn with_token(mut self, token: &str) -> Self {
        self.credential = Some(Credential::Bearer(Secret::new(token)));
        self
    }

    /// Its address, with a last slash.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// Its address without the last slash, as reports and subjects write it.
    pub fn name(&self) -> &str {
        self.url.as_str().trim_end_matches('/')
    }

    /// The value of the `authorization` header.
    pub fn authorization(&self) -> Option<Secret> {
        self.credential.as_ref().map(|credential| match credential {
            Credential::Bearer(token) => Secret(format!("Bearer {}", token.0)),
            Credential::Basic(pair) => Secret(format!("Basic {}", pair.0)),
        })
    }

    /// The header's value for that address: a credential is shown to its own registry's host and to no other.
    pub(crate) fn authorization_for(&self, url: &Url) -> Option<Secret> {
        self.authorization().filter(|_| self.serves(url))
    }

    /// Whether that address lies on this registry's own host.
    pub(crate) fn serves(&self, url: &Url) -> bool {
        self.url.origin() == url.origin()
    }

    /// Whether lockfiles name this registry by that host.
    fn is_named(&self, host: &str) -> bool {
        self.url.host_str() == Some(host) || self.aliases.contains(host)
    }

    /// An address on a host that is only another name of this registry, as it is on this registry itself.
    pub(crate) fn in_place_of_alias(&self, url: &Url) -> Option<Url> {
        let host = url.host_str().filter(|host| self.aliases.contains(*host))?;
        if self.url.host_str() == Some(host) {
            return None;
        }
        let mut own = self.url.clone();
        own.set_path(url.path());
        Some(own)
    }

    /// The address of a name or path below the registry.
    pub(crate) fn below(&self, path: &str) -> Option<Url> {
        self.url.join(&format!("./{path}")).ok()
    }
}

/// An address as its text.
mod address {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};
    use url::Url;

    pub(super) fn serialize<S: Serializer>(url: &Url, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(url.as_str())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Url, D::Error> {
        let text = String::deserialize(from)?;
        let registry = super::Registry::parse(&text);
        Ok(registry.ok_or_else(|| D::Error::custom("a registry is an http or https address"))?.url)
    }
}

/// The default registry and those of mapped scopes.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Registries {
    /// The registry of every name whose scope is not mapped.
    pub default: Registry,
    /// The registries of scopes, by the scope's name without its `@`.
    #[serde(default)]
    pub scopes: BTreeMap<String, Registry>,
}

impl Registries {
    /// The one registry that serves this name. A mapped scope is never looked for anywhere else.
    pub fn of(&self, name: &PackageName) -> &Registry {
        self.mapped(name).unwrap_or(&self.default)
    }

    /// The one registry of a name that a lockfile takes from that host. A name of a mapped scope still has its scope's; a
    /// name without one may lie in a company's registry, and is then looked for nowhere else.
    pub fn of_locked(&self, name: &PackageName, host: &str) -> &Registry {
        let named = || {
            let other = !self.default.is_named(host);
            self.scopes.values().find(|registry| other && registry.is_named(host))
        };
        self.mapped(name).or_else(named).unwrap_or(&self.default)
    }

    /// Every host by which a lockfile may name one of these registries.
    pub fn hosts(&self) -> BTreeSet<String> {
        let all = std::iter::once(&self.default).chain(self.scopes.values());
        all.flat_map(|registry| {
            registry.url.host_str().map(str::to_owned).into_iter().chain(registry.aliases.clone())
        })
        .collect()
    }

    fn mapped(&self, name: &PackageName) -> Option<&Registry> {
        name.scope().and_then(|scope| self.scopes.get(scope))
    }
}

/// Everything that is needed to reach the registries; a worker process gets it whole in its configuration.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct UpstreamConfig {
    /// Who serves which name.
    pub registries: Registries,
    /// How they are reached.
    #[serde(default)]
    pub client: ClientConfig,
}

impl UpstreamConfig {
    /// From this process's environment and the user's npm configuration, as npm 11 reads it outside a project: the
    /// variables `npm_config_…`, the user's file and the global one.
    ///
    /// # Errors
    /// When a file of npm's configuration cannot be read or names an address that is none.
    pub fn from_environment() -> Result<Self, NpmrcError> {
        let variables = std::env::vars_os().filter_map(|(name, value)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        });
        Self::from_variables(&variables.collect())
    }

    /// The same from any environment.
    ///
    /// # Errors
    /// As [`Self::from_environment`].
    pub fn from_variables(variables: &Variables) -> Result<Self, NpmrcError> {
        let client = ClientConfig::from_lookup(|name| variables.get(name).cloned());
        npmrc::NpmConfig::read(variables)?.resolve(client)
    }
}

#[cfg(test)]
mod fetch_tests;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mapped_scope_has_one_registry_and_no_other() {
        let registry = |url: &str| Registry::parse(url).unwrap();
        let registries = Registries {
            default: registry("https://public.example"),
            scopes: BTreeMap::from([("acme".to_owned(), registry("https://acme.example/npm"))]),
        };
        let of = |name: &str| registries.of(&name.parse().unwrap()).name().to_owned();
        assert_eq!(of("@acme/x"), "https://acme.example/npm");
        assert_eq!(of("acme"), "https://public.example");
        assert_eq!(of("@other/x"), "https://public.example");
    }

    #[test]
    fn a_host_that_a_lockfile_names_leads_to_the_registry_that_it_is_another_name_of() {
        let registry = |url: &str, aliases: &[&str]| {
            Registry::parse(url).unwrap().with_aliases(aliases.iter().copied()).unwrap()
        };
        let acme = registry(
            "http://127.0.0.1:4000/npm/",
            &["Npm.Acme.example:8443", "https://all.acme.example/x"],
        );
        let registries = Registries {
            default: registry("https://public.example", &["copy.example"]),
            scopes: BTreeMap::from([("acme".to_owned(), acme.clone())]),
        };
        let of = |name: &str, host: &str| {
            registries.of_locked(&name.parse().unwrap(), host).name().to_owned()
        };
        for (name, host, expected) in [
            ("left-pad", "public.example", "https://public.example"),
            ("left-pad", "copy.example", "https://public.example"),
            ("left-pad", "all.acme.example", "http://127.0.0.1:4000/npm"),
            ("@acme/x", "npm.acme.example", "http://127.0.0.1:4000/npm"),
            ("@acme/x", "public.example", "http://127.0.0.1:4000/npm"),
            ("left-pad", "elsewhere.example", "https://public.example"),
        ] {
            assert_eq!(of(name, host), expected, "{name} at {host}");
        }
        let hosts: Vec<String> = registries.hosts().into_iter().collect();
        let all =
            ["127.0.0.1", "all.acme.example", "copy.example", "npm.acme.example", "public.example"];
        assert_eq!(hosts, all);
        let moved = |url: &str| acme.in_place_of_alias(&Url::parse(url).unwrap()).map(String::from);
        let own = "http://127.0.0.1:4000/npm/a/-/a-1.tgz";
        assert_eq!(moved("https://npm.acme.example/npm/a/-/a-1.tgz").as_deref(), Some(own));
        assert_eq!(moved("https://elsewhere.example/a"), None);
        let wrong = Registry::parse("https://x.example").unwrap().with_aliases(["a b"]);
        assert_eq!(wrong.unwrap_err(), "a b");
    }

    #[test]
    fn a_secret_is_not_seen_in_debug_and_survives_the_journey_to_a_worker() {
        let registry =
            Registry::parse("https://user:pass@npm.example/x?y#z").unwrap().with_token("t0ken");
        assert_eq!(registry.name(), "https://npm.example/x");
        assert!(!format!("{registry:?}").contains("t0ken"));
        let text = serde_json::to_string(&registry).unwrap();
        assert_eq!(serde_json::from_str::<Registry>(&text).unwrap(), registry);
    }

    #[test]
    fn a_credential_is_for_its_own_host_and_scheme_alone() {
        let registry = Registry::parse("https://npm.example/team/").unwrap().with_token("t0ken");
        let shown = |url: &str| registry.authorization_for(&Url::parse(url).unwrap()).is_some();
        assert!(shown("https://npm.example/team/a") && shown("https://npm.example/files/a.tgz"));
        for other in
            ["https://cdn.example/a.tgz", "http://npm.example/a", "https://npm.example:8443/a"]
        {
            assert!(!shown(other), "{other}");
        }
    }

    #[test]
    fn names_with_a_scope_lie_below_the_registry_in_one_segment() {
        let registry = Registry::parse("https://npm.example/team").unwrap();
        let name: PackageName = "@a/b".parse().unwrap();
        let url = registry.below(&name.escaped()).unwrap();
        assert_eq!(url.as_str(), "https://npm.example/team/@a%2fb");
    }
}
