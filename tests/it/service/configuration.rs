//! The configuration's layers: file, then variables, then flags, key by key.

use std::path::PathBuf;

use countersign::config::{Config, Flags};
use countersign_core::PackageName;

struct Layers {
    folder: tempfile::TempDir,
    flags: Flags,
    variables: Vec<(String, String)>,
}

impl Layers {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let flags = Flags { data: Some(folder.path().to_owned()), ..Flags::default() };
        let variables = vec![("HOME".to_owned(), folder.path().display().to_string())];
        Self { folder, flags, variables }
    }

    fn file(self, text: &str) -> Self {
        std::fs::write(self.folder.path().join("countersign.toml"), text).unwrap();
        self
    }

    fn set(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    fn load(&self) -> Result<Config, String> {
        let variables = self.variables.iter().cloned().collect();
        Config::from_layers(&self.flags, &variables).map_err(|error| format!("{error}"))
    }
}

#[test]
fn a_variable_wins_over_the_file_and_a_flag_over_both() {
    let mut layers = Layers::new().file("workers = 2\nlisten = \"127.0.0.1:1111\"\n");
    assert_eq!(layers.load().unwrap().workers, 2);
    layers = layers.set("COUNTERSIGN_WORKERS", "3").set("COUNTERSIGN_LISTEN", "127.0.0.1:2222");
    assert_eq!(layers.load().unwrap().workers, 3);
    layers.flags.workers = Some(0);
    let config = layers.load().unwrap();
    assert_eq!((config.workers, config.listen.port()), (0, 2222));
}

#[test]
fn everything_lies_in_the_data_folder_unless_it_is_said() {
    let layers = Layers::new();
    let config = layers.load().unwrap();
    let data = layers.folder.path();
    assert_eq!(
        config.database_address(),
        format!("sqlite://{}/countersign.sqlite", data.display())
    );
    assert_eq!(config.blobs_folder().unwrap(), data.join("blobs"));
    assert_eq!(config.cache_folder(), data.join("cache"));
    assert_eq!(config.base_url(), "http://127.0.0.1:4873");
    let elsewhere = layers.set("COUNTERSIGN_BLOBS", "file:///srv/blobs");
    assert_eq!(elsewhere.load().unwrap().blobs_folder().unwrap(), PathBuf::from("/srv/blobs"));
    let s3 = elsewhere.set("COUNTERSIGN_BLOBS", "s3://bucket");
    assert!(s3.load().unwrap().blobs_folder().is_err());
}

#[test]
fn a_misspelt_key_is_named_and_refused() {
    let error = Layers::new().file("worker = 2\n").load().unwrap_err();
    assert!(error.contains("worker"), "{error}");
    let error = Layers::new().set("COUNTERSIGN_LISTEN", "nowhere").load().unwrap_err();
    assert!(error.to_lowercase().contains("listen"), "{error}");
}

#[test]
fn a_registry_of_a_scope_has_its_token_from_a_file_and_serves_that_scope_alone() {
    let layers = Layers::new();
    let secret = layers.folder.path().join("token");
    std::fs::write(&secret, "s3cret\n").unwrap();
    let layers = layers
        .file(&format!(
            "claimed_scopes = [\"@ours\"]\n[registry]\nurl = \"https://public.example/\"\n\
             [registries.\"@acme\"]\nurl = \"https://acme.example\"\ntoken_file = \"{}\"\n",
            secret.display()
        ))
        .set("COUNTERSIGN_REGISTRY__TOKEN", "t0ken");
    let config = layers.load().unwrap();
    let registries = &config.upstream().registries;
    let of = |name: &str| registries.of(&name.parse::<PackageName>().unwrap()).clone();
    let shown = |name: &str| of(name).authorization().unwrap().expose().to_owned();
    assert_eq!(
        (of("@acme/x").name(), shown("@acme/x").as_str()),
        ("https://acme.example", "Bearer s3cret")
    );
    assert_eq!((of("x").name(), shown("x").as_str()), ("https://public.example", "Bearer t0ken"));
    assert!(config.claims_scope("ours") && !config.claims_scope("acme"));
    assert!(!format!("{config:?}").contains("t0ken"), "a secret is not shown");
}

#[test]
fn a_file_that_is_named_has_to_be_there() {
    let mut layers = Layers::new();
    layers.flags.config = Some(PathBuf::from("/nowhere/countersign.toml"));
    let error = layers.load().unwrap_err();
    assert!(error.contains("/nowhere/countersign.toml"), "{error}");
}

#[test]
fn the_public_address_is_an_address_without_a_last_slash() {
    let load = |url: &str| Layers::new().set("COUNTERSIGN_PUBLIC_URL", url).load();
    assert_eq!(load("https://npm.example/gate/").unwrap().base_url(), "https://npm.example/gate");
    assert!(load("npm.example").is_err());
    assert!(load("ftp://npm.example").is_err());
}
