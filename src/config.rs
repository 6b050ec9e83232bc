//! The configuration: one documented struct. A TOML file is read first, then `COUNTERSIGN_…` variables, then flags; each
//! later one wins, key by key. `serve` and every operator's command read it the same way. It opens the files that it is
//! told of and knows nothing of what its values are for.
//!
//! The file is `--config FILE`, or `COUNTERSIGN_CONFIG`, or `countersign.toml` in the data folder if there is one.
//! A key inside a table is reached with two underscores: `COUNTERSIGN_REGISTRY__TOKEN`.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
};

use countersign_worker::{
    reach::Reach,
    upstream::{NpmrcError, Registry, Secret, UpstreamConfig, Variables},
};
use figment::{
    Figment, Metadata, Profile, Provider,
    providers::{Format, Serialized, Toml},
    value::{Dict, Map, Value},
};
use ipnet::IpNet;
use serde::{Deserialize, Deserializer, Serialize, de::Error as _};
use url::Url;

/// Before every variable of ours.
const PREFIX: &str = "COUNTERSIGN_";
/// Variables that other commands read, and where the file is: none of them is a setting.
const OF_OTHERS: [&str; 4] = ["CONFIG", "SERVER", "TOKEN", "TOKEN_FILE"];
/// The configuration's file, inside the data folder.
const FILE_NAME: &str = "countersign.toml";
/// Where `serve` listens unless it is told: the port of npm's local registries by convention, on this machine only.
const LISTEN: &str = "127.0.0.1:4873";
/// Requests of one address in a second, unless it is told: an `npm install` of a large tree asks for about as many.
const REQUESTS_PER_SECOND: u32 = 100;

/// Everything that an operator may set. An unknown key is refused, so that a misspelt one is noticed.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The folder for everything that must last: database, blobs, signing key. Made with mode 0700.
    pub data: PathBuf,
    /// Where the service listens. Port 0 takes a free one.
    pub listen: SocketAddr,
    /// The address under which others reach the service; tarball addresses and links are made from it. Without it: the
    /// listener's own address, which is right only on this machine.
    pub public_url: Option<String>,
    /// `sqlite:///absolute/file`; without it `countersign.sqlite` in the data folder.
    pub database: Option<String>,
    /// `file:///absolute/folder`; without it `blobs` in the data folder.
    pub blobs: Option<String>,
    /// How many workers `serve` starts as its children. 0 where workers run elsewhere.
    pub workers: u32,
    /// Scopes, with or without `@`, whose names are ours alone: never read through from another registry.
    pub claimed_scopes: Vec<String>,
    /// The registry that everything else is read from; without it, what the user's npm configuration says.
    pub registry: Option<RegistrySetting>,
    /// Registries of single scopes, by `@scope`.
    pub registries: BTreeMap<String, RegistrySetting>,
    /// Where workers keep what they can fetch again: toolchains, packages, repositories. Without it: `cache` in the data
    /// folder.
    pub cache: Option<PathBuf>,
    /// Where workers unpack and build. Every parent must be searchable by the uid of the build. Without it the worker's
    /// own choice.
    pub work: Option<PathBuf>,
    /// Proxies in front of the service, as addresses or networks such as `10.0.0.0/8`: what they write into
    /// `X-Forwarded-For` is believed.
    #[serde(deserialize_with = "networks")]
    pub trusted_proxies: Vec<IpNet>,
    /// How many requests a second one address may send; ten times as many at once. 0 is without a bound.
    pub requests_per_second: u32,
    /// Hosts inside a private network, or on this machine, that tarballs and repositories may be fetched from. The configured
    /// registries may be always.
    pub private_hosts: BTreeSet<String>,
    /// Hosts to which a redirect of a tarball's address is followed.
    pub redirect_hosts: BTreeSet<String>,
    /// Who serves which package, with npm's configuration where nothing is set here. Worked out, not read.
    #[serde(skip)]
    upstream: Option<UpstreamConfig>,
}

/// One registry.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegistrySetting {
    /// Its address.
    pub url: String,
    /// The token to show it.
    #[serde(default)]
    pub token: Option<Secret>,
    /// The file that holds the token.
    #[serde(default)]
    pub token_file: Option<PathBuf>,
    /// Other hosts or addresses of the same registry, as they stand in lockfiles, such as a company's virtual repository.
    #[serde(default)]
    pub aliases: Vec<String>,
}

/// What the command line says; each one that is set wins over file and environment.
#[derive(Clone, Default, Debug, clap::Args)]
pub struct Flags {
    /// The configuration's file
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The folder for everything that must last
    #[arg(long, global = true, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Where to listen, such as 127.0.0.1:4873
    #[arg(skip)]
    pub listen: Option<SocketAddr>,
    /// How many workers to start
    #[arg(skip)]
    pub workers: Option<u32>,
}

/// The configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A key or value is wrong; the message names the place.
    #[error("the configuration is wrong: {0}")]
    Wrong(String),
    /// A file that was named cannot be read.
    #[error("`{path}`, which the configuration names, cannot be read")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// npm's own configuration cannot be used.
    #[error("npm's configuration cannot be used")]
    Npm(#[from] NpmrcError),
}

impl Default for Config {
    fn default() -> Self {
        Self {
            data: PathBuf::from("/var/lib/countersign"),
            listen: LISTEN.parse().expect("the constant is an address"),
            public_url: None,
            database: None,
            blobs: None,
            workers: 1,
            claimed_scopes: Vec::new(),
            registry: None,
            registries: BTreeMap::new(),
            cache: None,
            work: None,
            trusted_proxies: Vec::new(),
            requests_per_second: REQUESTS_PER_SECOND,
            private_hosts: BTreeSet::new(),
            redirect_hosts: BTreeSet::new(),
            upstream: None,
        }
    }
}

impl Config {
    /// The configuration of this process.
    ///
    /// # Errors
    /// Where a file cannot be read or a value is wrong; the message names the key and where it stands.
    pub fn load(flags: &Flags) -> Result<Self, ConfigError> {
        let variables = std::env::vars_os().filter_map(|(name, value)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        });
        Self::from_layers(flags, &variables.collect())
    }

    /// The configuration of these flags and this environment.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn from_layers(flags: &Flags, environment: &Variables) -> Result<Self, ConfigError> {
        let set = |name: &str| environment.get(name).filter(|value| !value.is_empty());
        let data_before_file = flags
            .data
            .clone()
            .or_else(|| set("COUNTERSIGN_DATA").map(PathBuf::from))
            .unwrap_or_else(|| default_data(environment));
        let defaults = Self { data: data_before_file, ..Self::default() };
        let mut layers = Figment::from(Serialized::defaults(&defaults));
        let named = flags.config.clone().or_else(|| set("COUNTERSIGN_CONFIG").map(PathBuf::from));
        if let Some(path) = &named {
            let text = std::fs::read_to_string(path)
                .map_err(|source| ConfigError::File { path: path.clone(), source })?;
            layers = layers.merge(Toml::string(&text));
        } else if defaults.data.join(FILE_NAME).is_file() {
            layers = layers.merge(Toml::file_exact(defaults.data.join(FILE_NAME)));
        }
        let config: Self = layers
            .merge(Environment(environment))
            .merge(Serialized::globals(OnlySet::of(flags)))
            .extract()
            .map_err(|error| ConfigError::Wrong(error.to_string()))?;
        config.resolved(environment)
    }

    fn resolved(mut self, environment: &Variables) -> Result<Self, ConfigError> {
        self.data = std::path::absolute(&self.data)
            .map_err(|source| ConfigError::File { path: self.data.clone(), source })?;
        let mut upstream = UpstreamConfig::from_variables(environment)?;
        if let Some(setting) = &self.registry {
            upstream.registries.default = setting.registry()?;
        }
        for (scope, setting) in &self.registries {
            let scope = scope.trim_start_matches('@').to_owned();
            upstream.registries.scopes.insert(scope, setting.registry()?);
        }
        for scope in &mut self.claimed_scopes {
            *scope = scope.trim_start_matches('@').to_owned();
        }
        if let Some(url) = self.public_url.take() {
            self.public_url = Some(base_address(&url)?);
        }
        self.upstream = Some(upstream);
        Ok(self)
    }

    /// Who serves which package, and how registries are reached.
    pub fn upstream(&self) -> &UpstreamConfig {
        self.upstream
            .as_ref()
            .expect("every configuration comes from `from_layers`, which works it out")
    }

    /// Which hosts may be asked for what somebody else names: the configured registries, and those that are named for it.
    pub fn reach(&self) -> Reach {
        let lower = |host: &String| host.to_ascii_lowercase();
        let registries = self.upstream().registries.hosts();
        let private = self.private_hosts.iter().map(lower).chain(registries);
        Reach {
            private_hosts: private.collect(),
            redirect_hosts: self.redirect_hosts.iter().map(lower).collect(),
        }
    }

    /// The address of the database.
    pub fn database_address(&self) -> String {
        self.database.clone().unwrap_or_else(|| {
            format!("sqlite://{}", self.data.join("countersign.sqlite").display())
        })
    }

    /// The folder of the blobs.
    ///
    /// # Errors
    /// Where `blobs` is no `file://` address.
    pub fn blobs_folder(&self) -> Result<PathBuf, ConfigError> {
        match &self.blobs {
            None => Ok(self.data.join("blobs")),
            Some(address) => match address.strip_prefix("file://") {
                Some(path) if path.starts_with('/') => Ok(PathBuf::from(path)),
                _ => Err(ConfigError::Wrong(format!(
                    "`blobs` is `{address}`; write it as file:///absolute/folder"
                ))),
            },
        }
    }

    /// The folder of what can be fetched again.
    pub fn cache_folder(&self) -> PathBuf {
        self.cache.clone().unwrap_or_else(|| self.data.join("cache"))
    }

    /// The address under which others reach the service, without a last slash.
    pub fn base_url(&self) -> String {
        match &self.public_url {
            Some(url) => url.clone(),
            None => format!("http://{}", self.listen),
        }
    }

    /// Whether names of this scope are ours alone.
    pub fn claims_scope(&self, scope: &str) -> bool {
        self.claimed_scopes.iter().any(|claimed| claimed == scope)
    }
}

impl RegistrySetting {
    fn registry(&self) -> Result<Registry, ConfigError> {
        let registry = Registry::parse(&self.url).ok_or_else(|| {
            ConfigError::Wrong(format!("`{}` is not the address of a registry", self.url))
        })?;
        let aliases = self.aliases.iter().map(String::as_str);
        let registry = registry.with_aliases(aliases).map_err(|alias| {
            ConfigError::Wrong(format!("the alias `{alias}` is neither a host nor an address"))
        })?;
        let token = match (&self.token, &self.token_file) {
            (Some(token), _) => Some(token.expose().to_owned()),
            (None, Some(path)) => Some(read_secret(path)?),
            (None, None) => None,
        };
        Ok(match token {
            Some(token) => registry.with_token(&token),
            None => registry,
        })
    }
}

/// Networks, and addresses as networks of one.
fn networks<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<IpNet>, D::Error> {
    let network = |text: String| {
        let alone = text.parse::<IpAddr>().map(IpNet::from);
        alone.or_else(|_| text.parse::<IpNet>()).map_err(|_| {
            D::Error::custom(format!(
                "`{text}` is neither an address nor a network such as 10.0.0.0/8"
            ))
        })
    };
    Vec::<String>::deserialize(deserializer)?.into_iter().map(network).collect()
}

fn read_secret(path: &Path) -> Result<String, ConfigError> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| ConfigError::File { path: path.to_owned(), source })?;
    Ok(text.trim_end().to_owned())
}

/// The address without its last slash, query and fragment.
fn base_address(text: &str) -> Result<String, ConfigError> {
    let wrong =
        || ConfigError::Wrong(format!("`public_url` is `{text}`; write it as https://host"));
    let mut url = Url::parse(text).map_err(|_| wrong())?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err(wrong());
    }
    url.set_query(None);
    url.set_fragment(None);
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

/// `/var/lib/countersign` for root, as the design says; below the user's own data folder for everybody else.
fn default_data(environment: &Variables) -> PathBuf {
    if rustix::process::geteuid().is_root() {
        return Config::default().data;
    }
    let set = |name: &str| environment.get(name).filter(|value| !value.is_empty());
    let base = set("XDG_DATA_HOME")
        .map(PathBuf::from)
        .or_else(|| set("HOME").map(|home| Path::new(home).join(".local/share")));
    base.map_or_else(|| Config::default().data, |base| base.join("countersign"))
}

/// The `COUNTERSIGN_…` variables as a layer. Values are read as figment reads them: `4`, `true`, `[a, b]`, or a text.
struct Environment<'e>(&'e Variables);

impl Provider for Environment<'_> {
    fn metadata(&self) -> Metadata {
        Metadata::named("`COUNTERSIGN_` environment variables")
            .interpolater(|_, keys| format!("{PREFIX}{}", keys.join("__").to_uppercase()))
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        let mut layer = Dict::new();
        for (name, text) in self.0 {
            let Some(key) = name.strip_prefix(PREFIX).filter(|key| !OF_OTHERS.contains(key)) else {
                continue;
            };
            if text.is_empty() {
                continue;
            }
            let value: Value = text.parse().expect("figment takes every text as some value");
            let path: Vec<String> = key.split("__").map(str::to_lowercase).collect();
            put(&mut layer, &path, value);
        }
        Ok(Map::from([(Profile::Global, layer)]))
    }
}

fn put(layer: &mut Dict, path: &[String], value: Value) {
    match path {
        [] => {}
        [key] => {
            layer.insert(key.clone(), value);
        }
        [key, rest @ ..] => {
            let inner = layer.entry(key.clone()).or_insert_with(|| Value::from(Dict::new()));
            if let Value::Dict(_, inner) = inner {
                put(inner, rest, value);
            }
        }
    }
}

/// The flags that were given; what was not given must not cover what file or environment say.
#[derive(Serialize)]
struct OnlySet<'f> {
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<&'f Path>,
    #[serde(skip_serializing_if = "Option::is_none")]
    listen: Option<SocketAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    workers: Option<u32>,
}

impl<'f> OnlySet<'f> {
    fn of(flags: &'f Flags) -> Self {
        Self { data: flags.data.as_deref(), listen: flags.listen, workers: flags.workers }
    }
}
