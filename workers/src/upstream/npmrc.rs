//! npm's own configuration, read as npm 11 reads it: which registry serves which scope, with which credential, and
//! which certificates are believed. It opens the files that npm would open and knows nothing of HTTP.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use url::Url;

use super::{Credential, Registries, Registry, Secret, UpstreamConfig};
use crate::http::ClientConfig;

/// npm's default.
const PUBLIC_REGISTRY: &str = "https://registry.npmjs.org/";

/// npm's configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum NpmrcError {
    /// A file is there and cannot be read.
    #[error("npm's configuration in `{path}` cannot be read")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// A registry's address is none.
    #[error("npm's setting `{key}` names `{value}`, which is no http or https address")]
    Address {
        /// The setting.
        key: String,
        /// Its value.
        value: String,
    },
}

/// The variables of a process, as npm sees them.
pub type Variables = BTreeMap<String, String>;

/// The layers of npm's configuration that hold for a user, whatever the folder: environment, user file, global file.
/// The project's file is left out on purpose: a tagged tree names facts and never registries.
#[derive(Clone, Debug, Default)]
pub(crate) struct NpmConfig {
    layers: Vec<BTreeMap<String, Vec<String>>>,
    home: Option<PathBuf>,
}

impl NpmConfig {
    /// Reads the files that npm would read with these variables.
    pub(crate) fn read(variables: &Variables) -> Result<Self, NpmrcError> {
        let home = variables.get("HOME").filter(|home| !home.is_empty()).map(PathBuf::from);
        let mut config = Self { layers: vec![from_variables(variables)], home };
        let user = config.path("userconfig").or_else(|| Some(config.home.as_ref()?.join(".npmrc")));
        config.push(user, variables)?;
        let global = config.path("globalconfig").or_else(|| {
            let prefix = config.path("prefix");
            let prefix = prefix.or_else(|| variables.get("PREFIX").map(PathBuf::from));
            Some(prefix.or_else(|| node_prefix(variables))?.join("etc/npmrc"))
        });
        config.push(global, variables)?;
        Ok(config)
    }

    fn push(&mut self, path: Option<PathBuf>, variables: &Variables) -> Result<(), NpmrcError> {
        let Some(path) = path else { return Ok(()) };
        match std::fs::read(&path) {
            Ok(bytes) => self.layers.push(parse(&String::from_utf8_lossy(&bytes), variables)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(source) => return Err(NpmrcError::Unreadable { path, source }),
        }
        Ok(())
    }

    fn all(&self, key: &str) -> Option<&[String]> {
        self.layers.iter().find_map(|layer| layer.get(key)).map(Vec::as_slice)
    }

    fn get(&self, key: &str) -> Option<&str> {
        self.all(key)?.last().map(String::as_str).filter(|value| !value.is_empty())
    }

    fn path(&self, key: &str) -> Option<PathBuf> {
        let text = self.get(key)?;
        match (text.strip_prefix("~/"), &self.home) {
            (Some(rest), Some(home)) => Some(home.join(rest)),
            (Some(_) | None, _) => Some(PathBuf::from(text)),
        }
    }

    /// The registries with their credentials, and `client` with npm's certificates and proxy added to it.
    pub(crate) fn resolve(&self, mut client: ClientConfig) -> Result<UpstreamConfig, NpmrcError> {
        let default = self.get("registry").unwrap_or(PUBLIC_REGISTRY);
        let default = self.registry("registry", default)?;
        let mut scopes = BTreeMap::new();
        for key in self.layers.iter().flat_map(BTreeMap::keys) {
            let scope = key.strip_prefix('@').and_then(|rest| rest.strip_suffix(":registry"));
            if let (Some(scope), Some(url)) = (scope, self.get(key)) {
                scopes.insert(scope.to_owned(), self.registry(key, url)?);
            }
        }
        let cafile = self.path("cafile").filter(|file| !client.extra_roots_files.contains(file));
        client.extra_roots_files.extend(cafile);
        client.extra_roots_pem.extend(self.all("ca").into_iter().flatten().cloned());
        let proxy = self.get("https-proxy").or_else(|| self.get("proxy"));
        client.proxy = client.proxy.or_else(|| proxy.map(str::to_owned));
        client.no_proxy = client.no_proxy.or_else(|| self.get("noproxy").map(str::to_owned));
        Ok(UpstreamConfig { registries: Registries { default, scopes }, client })
    }

    fn registry(&self, key: &str, value: &str) -> Result<Registry, NpmrcError> {
        let mut registry = Registry::parse(value).ok_or_else(|| NpmrcError::Address {
            key: key.to_owned(),
            value: value.chars().take(200).collect(),
        })?;
        registry.credential = self.credential(registry.url());
        Ok(registry)
    }

    /// npm-registry-fetch 19, `getAuth`: the longest leading part of the address that has any credential counts.
    fn credential(&self, url: &Url) -> Option<Credential> {
        let port = url.port().map_or(String::new(), |port| format!(":{port}"));
        let mut part = format!("//{}{port}{}", url.host_str()?, url.path());
        while part.len() > 2 {
            let setting = |name: &str| self.get(&format!("{part}:{name}"));
            if let Some(token) = setting("_authToken") {
                return Some(Credential::Bearer(Secret::new(token)));
            }
            if let Some(basic) = setting("_auth") {
                return Some(Credential::Basic(Secret::new(basic)));
            }
            if let (Some(user), Some(password)) = (setting("username"), setting("_password")) {
                let password = STANDARD.decode(password).unwrap_or_default();
                let pair = [user.as_bytes(), b":", &password].concat();
                return Some(Credential::Basic(Secret::new(&STANDARD.encode(pair))));
            }
            let shorter = match part.strip_suffix('/') {
                Some(rest) => rest.len(),
                None => part.rfind('/').map_or(0, |at| at + 1),
            };
            part.truncate(shorter);
        }
        None
    }
}

/// `npm_config_…` in either case; underscores are dashes except in the keys of credentials (@npmcli/config 10, `loadEnv`).
fn from_variables(variables: &Variables) -> BTreeMap<String, Vec<String>> {
    let mut layer = BTreeMap::new();
    for (name, value) in variables {
        let Some(prefix) = name.get(..11) else { continue };
        if !prefix.eq_ignore_ascii_case("npm_config_") || value.is_empty() {
            continue;
        }
        let key = &name[11..];
        let key = if key.starts_with("//") || key.is_empty() {
            key.to_owned()
        } else {
            let (first, rest) = key.split_at(key.chars().next().map_or(0, char::len_utf8));
            format!("{first}{}", rest.replace('_', "-")).to_lowercase()
        };
        layer.insert(key, vec![value.clone()]);
    }
    layer
}

/// The `ini` format as npm reads it: `key = value`, `key[] = value`, comments, quotes; a section ends the flat part.
fn parse(text: &str, variables: &Variables) -> BTreeMap<String, Vec<String>> {
    let mut layer: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in text.lines().map(str::trim) {
        if line.starts_with('[') && line.ends_with(']') {
            break;
        }
        if line.is_empty() || line.starts_with([';', '#']) {
            continue;
        }
        let (key, value) = line.split_once('=').unwrap_or((line, "true"));
        let (key, value) = (plain(key.trim()), plain(value.trim()));
        let (key, value) = (expand(&key, variables), expand(&value, variables));
        match key.strip_suffix("[]") {
            Some(list) => layer.entry(list.to_owned()).or_default().push(value),
            None => drop(layer.insert(key, vec![value])),
        }
    }
    layer
}

/// A quoted text without its quotes, or an unquoted one up to its comment.
fn plain(text: &str) -> String {
    for quote in ['"', '\''] {
        if let Some(inner) = text.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote)) {
            let decoded = if quote == '"' { serde_json::from_str(text).ok() } else { None };
            return decoded.unwrap_or_else(|| inner.to_owned());
        }
    }
    let mut out = String::new();
    let mut characters = text.chars().peekable();
    while let Some(one) = characters.next() {
        match (one, characters.peek().copied()) {
            ('\\', Some(next)) if matches!(next, '\\' | ';' | '#') => {
                out.push(next);
                characters.next();
            }
            (';' | '#', _) => break,
            _ => out.push(one),
        }
    }
    out.trim().to_owned()
}

/// `${NAME}` becomes the variable's value and stays as it is without one; `${NAME?}` becomes nothing without one.
fn expand(text: &str, variables: &Variables) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        out.push_str(before);
        let Some((name, tail)) = after.split_once('}') else {
            out.push_str("${");
            rest = after;
            continue;
        };
        let bare = name.strip_suffix('?').unwrap_or(name);
        match variables.get(bare) {
            Some(value) => out.push_str(value),
            None if bare != name => {}
            None => out.push_str(&format!("${{{name}}}")),
        }
        rest = tail;
    }
    out + rest
}

/// Two folders above the node that PATH finds: npm's global prefix on Unix.
fn node_prefix(variables: &Variables) -> Option<PathBuf> {
    let node = std::env::split_paths(variables.get("PATH")?)
        .map(|folder| folder.join("node"))
        .find(|node| node.is_file())?;
    let real = std::fs::canonicalize(node).ok()?;
    real.parent().and_then(Path::parent).map(Path::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(user: &str, variables: &[(&str, &str)]) -> UpstreamConfig {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(".npmrc"), user).unwrap();
        let mut all: Variables =
            variables.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        all.insert("HOME".to_owned(), folder.path().to_str().unwrap().to_owned());
        all.entry("PREFIX".to_owned()).or_insert("/nowhere".to_owned());
        NpmConfig::read(&all).unwrap().resolve(ClientConfig::default()).unwrap()
    }

    fn shown(registry: &Registry) -> (String, Option<String>) {
        (
            registry.url().to_string(),
            registry.authorization().map(|secret| secret.expose().to_owned()),
        )
    }

    #[test]
    fn without_configuration_the_public_registry_is_asked_without_a_token() {
        let config = resolve("", &[]);
        assert_eq!(shown(&config.registries.default), (PUBLIC_REGISTRY.to_owned(), None));
        assert!(config.registries.scopes.is_empty());
    }

    #[test]
    fn tokens_go_with_the_address_they_are_written_for() {
        let config = resolve(
            "registry = https://npm.example/team/ ; ours\n//npm.example/:_authToken=${TOKEN}\n\
             @acme:registry=http://127.0.0.1:4000\n//127.0.0.1:4000/:_auth=\"dTpw\"\n\
             @other:registry=https://elsewhere.example/\n//npm.example/team/x/:_authToken=wrong\n",
            &[("TOKEN", "t0ken")],
        );
        let (url, token) = shown(&config.registries.default);
        assert_eq!(
            (url.as_str(), token.as_deref()),
            ("https://npm.example/team/", Some("Bearer t0ken"))
        );
        let (url, token) = shown(&config.registries.scopes["acme"]);
        assert_eq!(
            (url.as_str(), token.as_deref()),
            ("http://127.0.0.1:4000/", Some("Basic dTpw"))
        );
        assert_eq!(shown(&config.registries.scopes["other"]).1, None);
    }

    #[test]
    fn the_environment_goes_before_the_user_file_and_that_before_the_global_one() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("etc")).unwrap();
        let global = "registry=https://global.example/\ncafile=/global.pem\n";
        std::fs::write(folder.path().join("etc/npmrc"), global).unwrap();
        let prefix = folder.path().to_str().unwrap();
        let url = |user: &str, more: &[(&str, &str)]| {
            let variables = [more, &[("PREFIX", prefix)]].concat();
            resolve(user, &variables).registries.default.url().to_string()
        };
        let user = "registry=https://user.example/";
        assert_eq!(url("", &[]), "https://global.example/");
        assert_eq!(url(user, &[]), "https://user.example/");
        assert_eq!(
            url(user, &[("NPM_CONFIG_REGISTRY", "https://env.example")]),
            "https://env.example/"
        );
        let client = resolve("", &[("PREFIX", prefix)]).client;
        assert_eq!(client.extra_roots_files, [PathBuf::from("/global.pem")]);
    }

    #[test]
    fn a_user_file_elsewhere_is_found_by_its_variable() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("rc");
        std::fs::write(&file, "registry=https://elsewhere.example/\nca[]=ONE\nca[]=TWO\n").unwrap();
        let config = resolve("", &[("NPM_CONFIG_USERCONFIG", file.to_str().unwrap())]);
        assert_eq!(config.registries.default.url().as_str(), "https://elsewhere.example/");
        assert_eq!(config.client.extra_roots_pem, ["ONE", "TWO"]);
    }

    #[test]
    fn names_and_passwords_make_a_basic_credential() {
        let config = resolve(
            "//registry.npmjs.org/:username=u\n//registry.npmjs.org/:_password=cA==\n",
            &[],
        );
        assert_eq!(shown(&config.registries.default).1.as_deref(), Some("Basic dTpw"));
    }

    #[test]
    fn an_address_that_is_none_is_named_with_its_setting() {
        let variables = Variables::from([("npm_config_registry".into(), "ftp://x".into())]);
        let config = NpmConfig { layers: vec![from_variables(&variables)], home: None };
        let error = config.resolve(ClientConfig::default()).unwrap_err().to_string();
        assert!(error.contains("`registry`") && error.contains("ftp://x"), "{error}");
    }
}
