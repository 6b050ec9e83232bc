//! Tarballs as npm packs them: one root folder, plain files, one gzip member.

use std::io::Write;

use bytes::Bytes;
use flate2::{Compression, GzBuilder};
use serde_json::{Map, Value, json};

/// The package.json of the tests' package.
pub(crate) fn package_json(version: &str) -> Map<String, Value> {
    let value = json!({ "name": super::PACKAGE, "version": version, "main": "index.js" });
    value.as_object().unwrap().clone()
}

/// A tarball in the making.
#[derive(Clone)]
pub(crate) struct Pack {
    files: Vec<(String, Vec<u8>)>,
}

impl Pack {
    /// Of that version, with an index.js.
    pub(crate) fn of(version: &str) -> Self {
        Self::named(super::PACKAGE, version)
    }

    /// The same of another package.
    pub(crate) fn named(name: &str, version: &str) -> Self {
        let mut package = package_json(version);
        package.insert("name".to_owned(), json!(name));
        let package = serde_json::to_vec(&package).unwrap();
        let files = vec![
            ("package.json".to_owned(), package),
            ("index.js".to_owned(), b"module.exports = 1\n".to_vec()),
        ];
        Self { files }
    }

    /// With this file, in place of one of the same path.
    pub(crate) fn with(mut self, path: &str, content: &str) -> Self {
        self.files.retain(|(there, _)| there != path);
        self.files.push((path.to_owned(), content.as_bytes().to_vec()));
        self
    }

    /// The package.json inside.
    pub(crate) fn manifest(&self) -> Map<String, Value> {
        let (_, content) = self.files.iter().find(|(path, _)| path == "package.json").unwrap();
        serde_json::from_slice(content).unwrap()
    }

    /// Its bytes.
    pub(crate) fn tgz(&self) -> Bytes {
        let mut builder = tar::Builder::new(Vec::new());
        for (path, content) in &self.files {
            let mut header = tar::Header::new_ustar();
            header.set_size(content.len() as u64);
            header.set_mode(0o644);
            header.set_entry_type(tar::EntryType::Regular);
            header.set_mtime(499_162_500);
            builder
                .append_data(&mut header, format!("package/{path}"), content.as_slice())
                .unwrap();
        }
        let mut encoder = GzBuilder::new().write(Vec::new(), Compression::best());
        encoder.write_all(&builder.into_inner().unwrap()).unwrap();
        Bytes::from(encoder.finish().unwrap())
    }
}
